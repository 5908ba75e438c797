"""Lists of images in the forms of others, taken as they are.

A *list* has one reference in each line; ``#`` begins a comment. A *skopeo-sync* file maps
registries to repositories and tags; its credentials are used and kept nowhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.manifest.entries import ImageOptions, ManifestEntry, read_images
from bundler.bundle.manifest.source_reference import registry_source
from bundler.config.yaml import skopeo_sync
from bundler.config.yaml.document import MappingNode, Position, ScalarNode, SequenceNode, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.config.registry_access import RegistryOverride
    from bundler.config.yaml.context import YamlContext

_YAML_LINE = re.compile(r"---|[-?\[{&*!|>'\"%@]|[^#]*:(?:\s|$)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_OWN_KEYS = {"name", "expires", "registries", "defaults", "images", "exclude", "rename", "include"}


def is_list(text: str) -> bool:
    """Whether ``text`` is a list: its first line that says anything is not YAML's."""
    for line in text.splitlines():
        if said := _COMMENT.sub("", line).strip():
            return _YAML_LINE.match(said) is None
    return False


def read_list(
    text: str, options: ImageOptions, around: YamlContext, file: str
) -> Iterator[ManifestEntry]:
    """The entries of a list; mistakes become findings."""
    references = SequenceNode()
    for number, line in enumerate(text.splitlines(), 1):
        said = _COMMENT.sub("", line)
        word = ScalarNode(said.strip())
        if not word:
            continue
        word.at = Position(file, number, len(said) - len(said.lstrip()) + 1)
        word.plain = True
        if len(word.split()) > 1:
            around.findings.add(word.at, "expected one reference in a line, got several words")
        else:
            references.append(word)
    return read_images(references, options, around)


def is_skopeo_sync(value: Value) -> bool:
    """Whether ``value`` is what ``skopeo sync`` takes."""
    return (
        isinstance(value, MappingNode)
        and not _OWN_KEYS & set(value)
        and any(
            isinstance(part, MappingNode) and set(skopeo_sync.KEYS) & set(part)
            for part in value.values()
        )
    )


@dataclass(slots=True)
class SkopeoSync:
    """What a skopeo-sync file says."""

    entries: list[ManifestEntry] = field(default_factory=list)
    registries: dict[str, RegistryOverride] = field(default_factory=dict)


def read_skopeo_sync(value: Value, options: ImageOptions, around: YamlContext) -> SkopeoSync:
    """The entries and registries of a skopeo-sync file; mistakes become findings."""
    said = skopeo_sync.read(value, around)
    entries = [
        ManifestEntry(
            item.image,
            registry_source(item.image),
            around.format_origin(item.at),
            options,
            item.select,
        )
        for item in said.images
    ]
    return SkopeoSync(entries, said.registries)
