"""The layer contains the files of the squashfs."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing

import pytest

from bundler.cancel import Cancellation
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import CancelledError, LimitError, MalformedError, UnsupportedError
from bundler.events import WarningIssued
from bundler.ports import OpenOptions, SynthesizesManifests
from bundler.transports.sif.pseudo_file import PseudoFile
from tests.fakes import sif
from tests.transports.sif.reading import SCRIPTED, open_source, read_layer


def test_layer_contains_the_files_of_the_squashfs(packed, tree, tmp_path):
    with closing(open_source(packed())) as opened:
        assert isinstance(opened, SynthesizesManifests)
        found = read_layer(opened, tmp_path)
    assert set(found) == {".", *(str(path.relative_to(tree)) for path in tree.rglob("*"))}
    for name, (member, data) in found.items():
        path = tree / name
        assert (member.uid, member.gid) == (0, 0)
        if name != ".":
            assert member.mtime == 1_500_000_000
            assert member.mode == (path.lstat().st_mode & 0o7777)
        if member.isreg():
            assert data == path.read_bytes()
    assert found["link"][0].linkname == "../x y\\z"
    assert found["same file"][0].linkname == "etc/a b\\c"
    assert found["pipe"][0].isfifo()


def test_hard_link_has_the_metadata_of_its_file(packed, tree, tmp_path):
    (tree / "bin").mkdir()
    (tree / "bin" / "busybox").write_bytes(b"#!/bin/sh\n")
    (tree / "bin" / "busybox").chmod(0o4755)
    os.link(tree / "bin" / "busybox", tree / "bin" / "ls")
    os.utime(tree / "bin" / "busybox", (1_400_000_000, 1_400_000_000))
    with closing(open_source(packed())) as opened:
        found = read_layer(opened, tmp_path)
    member, _ = found["bin/ls"]
    assert (member.islnk(), member.linkname) == (True, "bin/busybox")
    assert (member.mode, member.mtime) == (0o4755, 1_400_000_000)


@pytest.mark.kernel("devices")
def test_large_device_numbers_are_preserved(packed, tree, tmp_path):
    numbers = [(1, 3), (8, 300), (4095, 255), (259, 70_000)]
    for major, minor in numbers:
        os.mknod(tree / f"{major} {minor}", 0o600 | stat.S_IFBLK, os.makedev(major, minor))
    with closing(open_source(packed())) as opened:
        found = read_layer(opened, tmp_path)
    members = [found[f"{major} {minor}"][0] for major, minor in numbers]
    assert [(member.devmajor, member.devminor) for member in members] == numbers


def test_sockets_are_left_out_with_a_warning(packed, tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tree)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("socket")
    reported = []
    options = OpenOptions(load_settings=None, emit=reported.append)
    with closing(open_source(packed(), options)) as opened:
        assert "socket" not in read_layer(opened, tmp_path)
    (warning,) = [event for event in reported if isinstance(event, WarningIssued)]
    assert "1 left out" in warning.text


def test_extended_attributes_are_preserved_or_reported(packed, tree, tmp_path):
    """Versions of unsquashfs before 4.6 do not write them."""
    os.setxattr(tree / "program", "user.key", b"one\n\0\xff")
    reported = []
    options = OpenOptions(load_settings=None, emit=reported.append)
    with closing(open_source(packed(), options)) as opened:
        member, _ = read_layer(opened, tmp_path)["program"]
    if reported:
        assert "extended attributes" in reported[0].text
    else:
        assert os.fsencode(member.pax_headers["SCHILY.xattr.user.key"]) == b"one\n\0\xff"


def test_extended_attributes_in_a_pseudo_file_are_preserved(tmp_path):
    """The pseudo file has the format of unsquashfs 4.6."""
    path = tmp_path / "pseudo"
    path.write_bytes(
        b"/ D 1 755 0 0\n"
        b"a R 1 755 0 0 2 0\n"
        b"a x security.capability=0t\\001\\000\\134\n"
        b"a x user.plain=0=x\n"
        b"b L a\n"
        b"#\n# START OF DATA - DO NOT MODIFY\n#\nhi"
    )
    with RegularFile.open(path) as file:
        pseudo = PseudoFile(file, "image.sif")
        members = {
            member.name: (member, content.read()) for member, content in pseudo.read_members()
        }
    assert pseudo.has_attributes
    assert list(members) == ["./", "a", "b"]
    assert members["a"][1] == b"hi"
    assert {key: os.fsencode(value) for key, value in members["a"][0].pax_headers.items()} == {
        "SCHILY.xattr.security.capability": b"\1\0\\",
        "SCHILY.xattr.user.plain": b"0=x",
    }
    assert members["b"][0].mode == 0o755


def test_names_of_many_hard_links_are_limited(tmp_path):
    path = tmp_path / "pseudo"
    lines = (b"%0200000d R 1 755 0 0 0 0\nb%d L %0200000d\n" % (at, at, at) for at in range(100))
    path.write_bytes(b"".join(lines) + b"#\n# START OF DATA - DO NOT MODIFY\n#\n")
    with RegularFile.open(path) as file, pytest.raises(LimitError):
        list(PseudoFile(file, "image.sif").read_members())


def test_program_of_the_squashfs_is_not_replaced(packed, tree, tmp_path):
    (tree / "podman").mkdir()
    (tree / "podman" / "runscript").write_bytes(b"its own")
    with closing(open_source(packed(sif.definition(SCRIPTED)))) as opened:
        assert read_layer(opened, tmp_path)["podman/runscript"][1] == b"its own"


def test_runscript_over_a_file_of_another_type_is_refused(packed, tree):
    (tree / "podman").write_bytes(b"")
    path = packed(sif.definition(SCRIPTED))
    with (
        closing(open_source(path)) as opened,
        pytest.raises(UnsupportedError),
    ):
        opened.resolve()


def test_damaged_squashfs_is_refused(tmp_path):
    (tmp_path / "a.sif").write_bytes(sif.pack(sif.partition(b"hsqs" + b"x" * 5000)))
    with (
        closing(open_source(tmp_path / "a.sif")) as opened,
        pytest.raises(MalformedError),
    ):
        opened.resolve()


def test_decompression_is_limited(packed, tree):
    with (tree / "zeros").open("wb") as file:
        file.truncate(200 << 20)
    with (
        closing(open_source(packed())) as opened,
        pytest.raises(LimitError),
    ):
        opened.resolve()


def test_conversion_can_be_cancelled(packed):
    cancellation = Cancellation()
    options = OpenOptions(load_settings=None, cancellation=cancellation)
    with closing(open_source(packed(), options)) as opened:
        cancellation.request()
        with pytest.raises(CancelledError):
            opened.resolve()


def test_name_with_a_line_break_is_refused(packed, tree):
    (tree / "a\nb R 1 644 0 0 9 0").write_bytes(b"")
    with closing(open_source(packed())) as opened, pytest.raises(UnsupportedError) as raised:
        opened.resolve()
    assert "line breaks" in raised.value.hint


def test_missing_unsquashfs_is_reported_with_a_hint(packed, monkeypatch):
    path = packed()
    monkeypatch.setenv("PATH", "/nowhere")
    with closing(open_source(path)) as opened, pytest.raises(UnsupportedError) as raised:
        opened.resolve()
    assert "squashfs-tools" in raised.value.hint
