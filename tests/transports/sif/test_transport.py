"""Source of ``sif:``: the contract, the config, and references."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler import transports
from bundler.errors import InvalidReferenceError, MissingFileError, ReadOnlyTransportError
from bundler.ports import Node, OpenOptions
from tests.contracts.source import SourceContract, read
from tests.fakes import sif
from tests.transports.sif.reading import OPTIONS, SCRIPTED, open_source, read_layer, read_parts


class TestSource(SourceContract):
    keeps_manifests = False
    many_images = False

    def name(self, name, root):
        return None if name == "app" else name

    @pytest.fixture
    def filled(self, packed):
        return lambda _: open_source(packed())

    def test_content_matches_descriptors(self, image):
        """A SIF image has one layer, unlike the image in the store."""
        _, _, opened = image
        _, layers = read_parts(opened)
        assert [len(read(opened, Node.of(layer, "layer"))) for layer in layers] == [layers[0].size]


def test_config_has_uuid_and_date_of_the_file(packed):
    with closing(open_source(packed())) as opened:
        config, (layer,) = read_parts(opened)
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
    with closing(open_source(packed(sif.definition(SCRIPTED)))) as opened:
        config, _ = read_parts(opened)
        found = read_layer(opened, tmp_path)
    assert config["config"] == {"Cmd": ["/podman/runscript"]}
    member, script = found["podman/runscript"]
    assert member.mode == 0o755
    assert script.decode() == '#!/bin/bash\nexport A=1\n# said\necho "$A é"\n'
    assert found["podman"][0].isdir()


def test_definition_without_runscript_adds_no_program(packed):
    with closing(
        open_source(packed(sif.definition("Bootstrap: docker\n%post\n true\n")))
    ) as opened:
        assert read_parts(opened)[0]["config"] == {"Cmd": ["bash"]}


def test_image_is_reproducible_and_leaves_no_files(packed, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path, roots = packed(), set()
    for _ in range(2):
        with closing(open_source(path, OpenOptions(load_settings=None, scratch=scratch))) as opened:
            roots.add(opened.resolve())
            assert list(scratch.iterdir()) == []
    assert len(roots) == 1


def test_references_round_trip_and_cannot_be_written():
    reference = transports.parse("sif:/a:b.sif")
    assert transports.parse(str(reference)) == reference
    with pytest.raises(ReadOnlyTransportError) as raised:
        transports.open_destination(reference, OPTIONS)
    assert (raised.value.reference, raised.value.transport) == (str(reference), "sif")
    with pytest.raises(InvalidReferenceError):
        transports.parse("sif:")
    with pytest.raises(MissingFileError) as missing:
        open_source("none.sif")
    assert missing.value.path == "none.sif"
