"""``sif:`` keeps to the source's contract; its layer holds what the squashfs holds."""

from __future__ import annotations

import json
import os
import tarfile
from contextlib import closing

import pytest

from bundler import transports
from bundler.cancel import Cancellation
from bundler.errors import (
    CancelledError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    MissingFileError,
    ReadOnlyTransportError,
    UnsupportedError,
)
from bundler.oci import manifest
from bundler.ports import Node, OpenOptions, SynthesizesManifests
from tests.contracts.source import SourceContract, read
from tests.fakes import sif

OPTIONS = OpenOptions(settings=None)
SCRIPTED = """
Bootstrap: docker
%environment
    # nothing
    export A=1

%post
    touch /nowhere
%runscript
    # said
    echo "$A é"
"""


def source(path, options=OPTIONS):
    return transports.open_source(transports.parse(f"sif:{path}"), options)


@pytest.fixture
def tree(tmp_path):
    """A root directory with one of each kind that anybody may make."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "a b\\c").write_bytes(b"one" * 50_000)
    (root / "etc" / "é").write_bytes(b"")
    (root / "program").write_bytes(b"#!/bin/sh\n")
    (root / "program").chmod(0o4755)
    os.link(root / "etc" / "a b\\c", root / "same file")
    (root / "link").symlink_to("../x y\\z")
    os.mkfifo(root / "pipe")
    for path in root.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    return root


@pytest.fixture
def packed(tree, tmp_path):
    """A function: further data objects become the path of a SIF file."""

    def pack(*objects, **fields):
        squashfs = sif.squashfs(tree, tmp_path / "root.squashfs")
        path = tmp_path / "image.sif"
        path.write_bytes(sif.pack(*objects, sif.partition(squashfs), **fields))
        return path

    return pack


def parts(opened):
    root = opened.resolve()
    found = manifest.parse(read(opened, Node.of(root, "manifest")), root.media_type)
    return json.loads(read(opened, Node.of(found.config, "config"))), found.layers


def layer_of(opened, tmp_path):
    _, (layer,) = parts(opened)
    path = tmp_path / "layer.tar"
    path.write_bytes(read(opened, Node.of(layer, "layer")))
    with tarfile.open(path) as archive:
        return {
            one.name: (one, archive.extractfile(one).read() if one.isreg() else b"")
            for one in archive
        }


class TestSource(SourceContract):
    keeps_bytes = False
    many_images = False

    def name(self, name, root):
        return None if name == "app" else name

    @pytest.fixture
    def filled(self, packed):
        return lambda _: source(packed())

    def test_content_matches_descriptors(self, image):
        """Its one layer is not the store's two."""
        _, _, opened = image
        _, layers = parts(opened)
        assert [len(read(opened, Node.of(one, "layer"))) for one in layers] == [layers[0].size]


def test_layer_contains_the_files_of_the_squashfs(packed, tree, tmp_path):
    with closing(source(packed())) as opened:
        assert isinstance(opened, SynthesizesManifests)
        found = layer_of(opened, tmp_path)
    assert set(found) == {".", *(str(path.relative_to(tree)) for path in tree.rglob("*"))}
    for name, (one, data) in found.items():
        path = tree / name
        assert (one.uid, one.gid) == (0, 0)
        if not one.islnk() and name != ".":
            assert one.mtime == 1_500_000_000
            assert one.issym() or one.mode == path.stat().st_mode & 0o7777
        if one.isreg():
            assert data == path.read_bytes()
    assert found["link"][0].linkname == "../x y\\z"
    assert found["same file"][0].linkname == "etc/a b\\c"
    assert found["pipe"][0].isfifo()


def test_config_has_uuid_and_date_of_the_file(packed):
    with closing(source(packed())) as opened:
        config, (layer,) = parts(opened)
    created = "2020-09-13T12:26:40Z"
    assert config == {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["bash"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.digest.text]},
        "history": [
            {
                "created": created,
                "created_by": f"/bin/sh -c #(nop) ADD file:{layer.digest.hex} in /",
                "comment": f"imported from SIF, uuid: {sif.ID}",
            },
            {
                "created": created,
                "created_by": '/bin/sh -c #(nop) CMD ["bash"]',
                "empty_layer": True,
            },
        ],
    }


def test_runscript_becomes_the_command(packed, tmp_path):
    with closing(source(packed(sif.definition(SCRIPTED)))) as opened:
        config, _ = parts(opened)
        found = layer_of(opened, tmp_path)
    assert config["config"] == {"Cmd": ["/podman/runscript"]}
    one, script = found["podman/runscript"]
    assert one.mode == 0o755
    assert script.decode() == '#!/bin/bash\nexport A=1\n# said\necho "$A é"\n'
    assert found["podman"][0].isdir()


def test_definition_without_runscript_adds_no_program(packed):
    with closing(source(packed(sif.definition("Bootstrap: docker\n%post\n true\n")))) as opened:
        assert parts(opened)[0]["config"] == {"Cmd": ["bash"]}


def test_program_of_the_squashfs_is_not_replaced(packed, tree, tmp_path):
    (tree / "podman").mkdir()
    (tree / "podman" / "runscript").write_bytes(b"its own")
    with closing(source(packed(sif.definition(SCRIPTED)))) as opened:
        assert layer_of(opened, tmp_path)["podman/runscript"][1] == b"its own"


def test_runscript_over_a_file_of_another_type_is_refused(packed, tree):
    (tree / "podman").write_bytes(b"")
    path = packed(sif.definition(SCRIPTED))
    with closing(source(path)) as opened, pytest.raises(UnsupportedError, match="in the way"):
        opened.resolve()


def test_image_is_reproducible_and_leaves_no_files(packed, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path, roots = packed(), set()
    for _ in range(2):
        with closing(source(path, OpenOptions(settings=None, scratch=scratch))) as opened:
            roots.add(opened.resolve())
            assert list(scratch.iterdir()) == []
    assert len(roots) == 1


@pytest.mark.parametrize(
    ("objects", "fields", "error", "told"),
    [
        ([], {"magic": b"SIF_MAGIX\0"}, MalformedError, "not a SIF file"),
        ([], {"version": b"02\0"}, UnsupportedError, "version"),
        ([], {}, UnsupportedError, "expected 1, got 0"),
        ([sif.partition(b"x")] * 2, {}, UnsupportedError, "expected 1, got 2"),
        ([sif.partition(b"x", purpose=1)], {}, UnsupportedError, "expected 1, got 0"),
        ([sif.partition(b"x", kind=sif.ENCRYPTED)], {}, UnsupportedError, "unencrypted squashfs"),
        ([], {"total": -1}, MalformedError, "damaged"),
        ([], {"total": 9999}, MalformedError, "within its descriptors"),
        ([], {"total": 2**40}, LimitError, "data objects"),
        (
            [sif.definition("x" * 2_000_000), sif.partition(b"x")],
            {},
            LimitError,
            "definition file",
        ),
    ],
)
def test_invalid_file_is_refused(tmp_path, objects, fields, error, told):
    (tmp_path / "a.sif").write_bytes(sif.pack(*objects, **fields))
    with pytest.raises(error, match=told):
        source(tmp_path / "a.sif")


@pytest.mark.parametrize(
    ("place", "number"), [(72, 2**63 - 1), (72, -(2**63)), (72, 2**40), (96, 2**63 - 1)]
)
def test_numbers_out_of_range_are_refused(tmp_path, place, number):
    """The date at 72, and at 96 where the descriptors begin."""
    data = bytearray(sif.pack(sif.partition(b"x")))
    data[place : place + 8] = number.to_bytes(8, "little", signed=True)
    (tmp_path / "a.sif").write_bytes(data)
    with pytest.raises(MalformedError, match="damaged"):
        source(tmp_path / "a.sif")


def test_truncated_file_is_refused(packed):
    path = packed()
    data = path.read_bytes()
    for end in (0, 100, 5000, len(data) - 5000):
        path.write_bytes(data[:end])
        with pytest.raises(MalformedError):
            source(path)


def test_damaged_squashfs_is_refused(tmp_path):
    (tmp_path / "a.sif").write_bytes(sif.pack(sif.partition(b"hsqs" + b"x" * 5000)))
    with (
        closing(source(tmp_path / "a.sif")) as opened,
        pytest.raises(MalformedError, match="cannot read the squashfs"),
    ):
        opened.resolve()


def test_decompression_is_limited(packed, tree):
    with (tree / "zeros").open("wb") as file:
        file.truncate(200 << 20)
    with (
        closing(source(packed())) as opened,
        pytest.raises(LimitError, match="bytes after decompression"),
    ):
        opened.resolve()


def test_conversion_can_be_cancelled(packed):
    cancellation = Cancellation()
    options = OpenOptions(settings=None, cancellation=cancellation)
    with closing(source(packed(), options)) as opened:
        cancellation.request()
        with pytest.raises(CancelledError):
            opened.resolve()


def test_name_with_a_line_break_is_refused(packed, tree):
    (tree / "a\nb R 1 644 0 0 9 0").write_bytes(b"")
    with closing(source(packed())) as opened, pytest.raises(UnsupportedError) as raised:
        opened.resolve()
    assert "line breaks" in raised.value.hint


def test_missing_unsquashfs_is_reported_with_a_hint(packed, monkeypatch):
    path = packed()
    monkeypatch.setenv("PATH", "/nowhere")
    with closing(source(path)) as opened, pytest.raises(UnsupportedError) as raised:
        opened.resolve()
    assert "squashfs-tools" in raised.value.hint


def test_references_round_trip_and_cannot_be_written():
    reference = transports.parse("sif:/a:b.sif")
    assert transports.parse(str(reference)) == reference
    with pytest.raises(ReadOnlyTransportError) as raised:
        transports.open_destination(reference, OPTIONS)
    assert (raised.value.reference, raised.value.transport) == (str(reference), "sif")
    with pytest.raises(InvalidReferenceError):
        transports.parse("sif:")
    with pytest.raises(MissingFileError) as missing:
        source("none.sif")
    assert missing.value.path == "none.sif"
