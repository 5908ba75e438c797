"""Directories of layers in an archive, for versions of Docker that ignore ``manifest.json``.

Each directory describes an image, whose parent is the layer below. IDs are computed as by
containers/image, so both write the same archive.

https://github.com/moby/docker-image-spec/blob/v1.2.0/v1.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.gocompat import json_encoding
from bundler.oci.digest import Digest
from bundler.oci.json import strict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOP_LAYER_MEMBERS = (
    "architecture",
    "config",
    "container",
    "container_config",
    "created",
    "docker_version",
    "os",
)


def create_legacy_layers(
    layers: Sequence[Digest], config: bytes, subject: str
) -> Iterator[tuple[str, Digest, bytes]]:
    """Yield the ID, the layer and the file ``json`` of each directory, the lowest layer first.

    Args:
        layers: the digests of the layers in the archive.
        config: the config of the image, part of which is repeated for the top layer.
        subject: the config's name in messages.

    Raises:
        LimitError, MalformedError: the config is not a JSON object.
    """
    parent = chain = ""
    for position, layer in enumerate(layers, 1):
        members = {"parent": _encode(parent)} if parent else {}
        if position == len(layers):
            strict.load_object(config, subject=subject)
            config_members = json_encoding.split(config)
            members |= {name: config_members.get(name, "null") for name in _TOP_LAYER_MEMBERS}
        chain = Digest.of(f"{chain} {layer}".encode()).text if chain else layer.text
        parent = Digest.of(json_encoding.join(members | {"layer_id": _encode(chain)})).hex
        yield parent, layer, json_encoding.join(members | {"id": _encode(parent)})


def _encode(text: str) -> str:
    return json_encoding.dumps(text).decode()
