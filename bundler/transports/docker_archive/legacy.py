"""What Docker wrote of each layer before an archive had a manifest.json, as old readers want it.

Every layer is an image of its own there, with the layer below as its parent. Ids are made as
containers/image makes them, so both write the same archive of one image.

https://github.com/moby/docker-image-spec/blob/v1.2.0/v1.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.gocompat import json_encoding
from bundler.oci.digest import Digest
from bundler.oci.json import strict

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_THE_TOP = (
    "architecture",
    "config",
    "container",
    "container_config",
    "created",
    "docker_version",
    "os",
)


@dataclass(frozen=True, slots=True)
class LegacyLayer:
    """A directory ``id`` with a link to ``layer`` and a document that is called ``json``."""

    id: str
    layer: Digest
    json: bytes


def create_legacy_layers(layers: Sequence[Digest], config: bytes, what: str) -> list[LegacyLayer]:
    """The directories of an image, from the lowest of its ``layers`` up.

    Args:
        layers: the digests of the layers as they lie in the archive.
        config: the image's config; the top layer's document repeats part of it.
        what: how messages name the config.

    Raises:
        LimitError, MalformedError: the config is no JSON object.
    """
    made: list[LegacyLayer] = []
    chain = ""
    for position, layer in enumerate(layers):
        members = {"parent": _encoded(made[-1].id)} if made else {}
        if position == len(layers) - 1:
            strict.load_object(config, subject=what)
            said = json_encoding.split(config)
            members |= {name: said.get(name, "null") for name in _OF_THE_TOP}
        chain = Digest.of(f"{chain} {layer}".encode()).text if chain else layer.text
        identity = Digest.of(json_encoding.join(members | {"layer_id": _encoded(chain)})).hex
        made.append(
            LegacyLayer(identity, layer, json_encoding.join(members | {"id": _encoded(identity)}))
        )
    return made


def _encoded(text: str) -> str:
    return json_encoding.dumps(text).decode()
