"""The content of files that may state packages."""

from __future__ import annotations

import tempfile

import pytest

from bundler.bundle.audit.packages.found_file import FoundFile, PackageFileError
from bundler.errors import BundlerError
from bundler.oci.digest import Digest

LAYER = Digest("sha256:" + "0" * 64)
SIZE = 5 * 1024 * 1024


def create(size=SIZE):
    return FoundFile("a.jar", LAYER, size, iter([memoryview(bytes(size))]))


def test_large_file_is_spooled():
    with create().spool(SIZE) as file:
        assert len(file.read()) == SIZE


def test_file_beyond_the_limit_is_not_spooled():
    with pytest.raises(PackageFileError), create().spool(SIZE - 1):
        pass


def test_temporary_directory_that_cannot_be_written_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(BundlerError), create().spool(SIZE):
        pass
