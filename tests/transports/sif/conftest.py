"""A root directory, and a SIF file with its squashfs."""

from __future__ import annotations

import os

import pytest

from tests.fakes import sif


@pytest.fixture
def tree(tmp_path):
    """A root directory with a file of each type that needs no root."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "a b\\c").write_bytes(b"one" * 50_000)
    (root / "etc" / "é").write_bytes(b"")
    (root / "program").write_bytes(b"#!/bin/sh\n")
    (root / "program").chmod(0o4755)
    (root / "etc" / "a b\\c").chmod(0o2751)
    os.link(root / "etc" / "a b\\c", root / "same file")
    (root / "link").symlink_to("../x y\\z")
    os.mkfifo(root / "pipe")
    for path in root.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    return root


@pytest.fixture
def packed(tree, tmp_path):
    """A function that returns the path of a SIF file with the given further data objects."""

    def pack(*objects, **fields):
        squashfs = sif.create_squashfs(tree, tmp_path / "root.squashfs")
        path = tmp_path / "image.sif"
        path.write_bytes(sif.pack(*objects, sif.partition(squashfs), **fields))
        return path

    return pack
