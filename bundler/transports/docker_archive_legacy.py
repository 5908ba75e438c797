"""What Docker wrote of each layer before an archive had a manifest.json, as old readers want it.

Every layer is an image of its own there, with the layer below as its parent. Ids are made as
containers/image makes them, so both write the same archive of one image.

https://github.com/moby/docker-image-spec/blob/v1.2.0/v1.md
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.oci import strict_json
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OF_THE_TOP = (
    "architecture",
    "config",
    "container",
    "container_config",
    "created",
    "docker_version",
    "os",
)
_STRING_OR_BLANKS = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
_AS_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class LegacyLayer:
    """A directory ``id`` with a link to ``layer`` and a document that is called ``json``."""

    id: str
    layer: Digest
    json: bytes


def legacy_layers(layers: Sequence[Digest], config: bytes, what: str) -> list[LegacyLayer]:
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
            said = _members(config, what)
            members |= {name: said.get(name, "null") for name in _OF_THE_TOP}
        chain = Digest.of(f"{chain} {layer}".encode()).text if chain else layer.text
        identity = Digest.of(_object(members | {"layer_id": _encoded(chain)})).hex
        made.append(LegacyLayer(identity, layer, _object(members | {"id": _encoded(identity)})))
    return made


def _members(raw: bytes, what: str) -> dict[str, str]:
    """The members of a JSON object, each as it is written there but for blanks."""
    strict_json.load_object(raw, what=what)
    text = _STRING_OR_BLANKS.sub(lambda found: found[1] or "", raw.decode())
    decoder = json.JSONDecoder()
    members = {}
    position = 1
    while text[position] != "}":
        name, position = decoder.raw_decode(text, position)
        start = position + 1
        _, position = decoder.raw_decode(text, start)
        members[name] = text[start:position].translate(_AS_GO_ESCAPES)
        position += text[position] == ","
    return members


def _object(members: Mapping[str, str]) -> bytes:
    inside = ",".join(f"{_encoded(name)}:{members[name]}" for name in sorted(members))
    return f"{{{inside}}}".encode()


def _encoded(text: str) -> str:
    return json.dumps(text)
