"""Open SIF files and read their images."""

from __future__ import annotations

import json
import tarfile

from bundler import transports
from bundler.oci import manifest
from bundler.ports import Node, OpenOptions
from tests.contracts.source import read

OPTIONS = OpenOptions(load_settings=None)
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


def open_source(path, options=OPTIONS):
    return transports.open_source(transports.parse(f"sif:{path}"), options)


def read_parts(opened):
    root = opened.resolve()
    found = manifest.parse(read(opened, Node.of(root, "manifest")), root.media_type)
    return json.loads(read(opened, Node.of(found.config, "config"))), found.layers


def read_layer(opened, tmp_path):
    _, (layer,) = read_parts(opened)
    path = tmp_path / "layer.tar"
    path.write_bytes(read(opened, Node.of(layer, "layer")))
    with tarfile.open(path) as archive:
        return {
            member.name: (member, archive.extractfile(member).read() if member.isreg() else b"")
            for member in archive
        }
