"""The layer contains the files of the squashfs."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError, LimitError, MalformedError, UnsupportedError
from bundler.ports import OpenOptions, SynthesizesManifests
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
        if not member.islnk() and name != ".":
            assert member.mtime == 1_500_000_000
            assert member.issym() or member.mode == path.stat().st_mode & 0o7777
        if member.isreg():
            assert data == path.read_bytes()
    assert found["link"][0].linkname == "../x y\\z"
    assert found["same file"][0].linkname == "etc/a b\\c"
    assert found["pipe"][0].isfifo()


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
