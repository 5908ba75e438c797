"""Reader of the file of ``skopeo sync --src yaml``: registries, repositories and tags.

https://github.com/containers/skopeo/blob/v1.18.0/docs/skopeo-sync.1.md#yaml-file-content
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bundler.config.registry_access import Credentials, RegistryOverride
from bundler.config.yaml.document import (
    MappingNode,
    Position,
    ScalarNode,
    SequenceNode,
    Value,
    describe,
    get_member,
    suggest_word,
)
from bundler.errors import InvalidReferenceError, UsageError
from bundler.gocompat.masterminds_semver import Constraint
from bundler.gocompat.regexp import GoExpression
from bundler.oci.reference import ImageReference, normalize_domain
from bundler.oci.tag_filter import TagSelection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.config.yaml.context import YamlContext
    from bundler.config.yaml.document import YamlMistakes

T = TypeVar("T")

KEYS = (
    "cert-dir",
    "credentials",
    "images",
    "images-by-semver",
    "images-by-tag-regex",
    "tls-verify",
)

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class SyncEntry:
    """An image or, with ``select``, the selected tags of a repository."""

    image: ImageReference
    at: Position
    select: TagSelection | None = None


@dataclass(slots=True)
class SyncFile:
    """Content of a file; ``registries`` maps ``host[:port]`` to settings, including secrets."""

    images: list[SyncEntry] = field(default_factory=list)
    registries: dict[str, RegistryOverride] = field(default_factory=dict)


def read(value: Value, context: YamlContext, structure: YamlMistakes | None = None) -> SyncFile:
    """Read a parsed file. Mistakes are recorded in ``context``.

    Values of a wrong type are recorded in ``structure``, if it is given: Skopeo refuses a file with
    such a value, but skips repositories and tags with other mistakes.
    """
    structure = structure or context.mistakes
    content = SyncFile()
    if not isinstance(value, MappingNode):
        structure.add(value.at, f"expected a mapping of registries, got {describe(value)}")
        return content
    for registry, members in value.items():
        if not isinstance(members, MappingNode):
            mistakes = context.mistakes if _is_null(members) else structure
            mistakes.add(members.at, f"`{registry}`: expected a mapping, got {describe(members)}")
            continue
        for key in members:
            if key not in KEYS:
                close = suggest_word(key, list(KEYS))
                context.mistakes.add(members.key_at[key], f"unknown key `{key}`{close}")
        host = registry.partition("/")[0]
        content.registries[normalize_domain(host)] = _read_override(members, context, structure)
        content.images += _RepositoryReader(registry, context.mistakes, structure).read(members)
    return content


class _RepositoryReader:
    """Reader of the repositories of one registry."""

    def __init__(self, registry: str, mistakes: YamlMistakes, structure: YamlMistakes) -> None:
        self._registry = registry
        self._mistakes = mistakes
        self._structure = structure

    def read(self, members: MappingNode) -> Iterator[SyncEntry]:
        for repository, value, at in self._iterate_repositories(members, "images"):
            if isinstance(value, MappingNode) or (
                isinstance(value, ScalarNode) and not value.is_null
            ):
                text = f"expected a list of tags (an empty one means all), got {describe(value)}"
                self._structure.add(value.at, text)
            elif isinstance(value, ScalarNode) or not value:
                yield SyncEntry(repository, at, TagSelection())
            else:
                for item in value:
                    version = self._parse(item, str)
                    if version is not None:
                        separator = "@" if ":" in version else ":"
                        image = self._parse_image(f"{repository}{separator}{version}", item.at)
                        if image is not None:
                            yield SyncEntry(image, item.at)
        for repository, value, at in self._iterate_repositories(members, "images-by-tag-regex"):
            pattern = self._parse(value, GoExpression.parse)
            if pattern is not None:
                yield SyncEntry(repository, at, TagSelection(include=(pattern,)))
        for repository, value, at in self._iterate_repositories(members, "images-by-semver"):
            versions = self._parse(value, Constraint.parse)
            if versions is not None:
                yield SyncEntry(repository, at, TagSelection(constraint=versions))

    def _iterate_repositories(
        self, members: MappingNode, key: str
    ) -> Iterator[tuple[ImageReference, Value, Position]]:
        repositories = members.get(key)
        if isinstance(repositories, MappingNode):
            for name, value in repositories.items():
                image = self._parse_image(f"{self._registry}/{name}", repositories.key_at[name])
                if image is not None:
                    yield image, value, repositories.key_at[name]
        elif repositories is not None and not _is_null(repositories):
            text = f"`{key}`: expected a mapping of repositories, got {describe(repositories)}"
            self._structure.add(repositories.at, text)

    def _parse(self, value: Value, parse: Callable[[str], T]) -> T | None:
        if not isinstance(value, ScalarNode) or value.is_null:
            mistakes = self._mistakes if _is_null(value) else self._structure
            mistakes.add(value.at, f"expected text, got {describe(value)}")
            return None
        try:
            return parse(value)
        except UsageError as error:
            self._mistakes.add(value.at, error.message)
            return None

    def _parse_image(self, text: str, at: Position) -> ImageReference | None:
        try:
            return ImageReference.parse(text)
        except InvalidReferenceError as error:
            self._mistakes.add(at, error.message)
            return None


def _read_override(
    members: MappingNode, context: YamlContext, structure: YamlMistakes
) -> RegistryOverride:
    verify = members.get("tls-verify")
    verify_tls = _BOOLEANS.get(verify.lower()) if isinstance(verify, ScalarNode) else None
    if verify is not None and verify_tls is None:
        text = f"`tls-verify`: expected true or false, got {describe(verify)}"
        (context.mistakes if _is_null(verify) else structure).add(verify.at, text)
    directory = members.get("cert-dir")
    if directory is not None and not isinstance(directory, ScalarNode):
        structure.add(directory.at, f"`cert-dir`: expected text, got {describe(directory)}")
    credentials, stated = None, members.get("credentials")
    if stated is not None:
        username, password = get_member(stated, "username"), get_member(stated, "password")
        if isinstance(username, ScalarNode) and isinstance(password, ScalarNode):
            credentials = Credentials(str(username), str(password), file=context.file)
        else:
            is_valid = isinstance(stated, MappingNode) and not any(
                isinstance(member, SequenceNode | MappingNode) for member in (username, password)
            )
            mistakes = context.mistakes if is_valid or _is_null(stated) else structure
            mistakes.add(stated.at, "`credentials`: expected username and password")
    return RegistryOverride(
        credentials=credentials,
        tls_verify=verify_tls,
        cert_dir=context.resolve_path(directory),
    )


def _is_null(value: Value) -> bool:
    return isinstance(value, ScalarNode) and value.is_null
