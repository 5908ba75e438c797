"""The file that ``skopeo sync --src yaml`` takes: registries, their repositories, and which tags.

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
    Value,
    describe,
    get_member,
    suggest_word,
)
from bundler.errors import InvalidReferenceError, UsageError
from bundler.gocompat.masterminds_semver import Constraint
from bundler.gocompat.regexp import GoExpression
from bundler.oci.reference import ImageReference, domain_of
from bundler.oci.tag_filter import Select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.config.yaml.context import YamlContext

KEYS = (
    "cert-dir",
    "credentials",
    "images",
    "images-by-semver",
    "images-by-tag-regex",
    "tls-verify",
)
T = TypeVar("T")

_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True)
class SyncEntry:
    """An image, or with ``select`` a repository of which some tags are meant."""

    image: ImageReference
    at: Position
    select: Select | None = None


@dataclass(slots=True)
class SyncFile:
    """What the file says; ``registries`` by ``host[:port]``, with secrets."""

    images: list[SyncEntry] = field(default_factory=list)
    registries: dict[str, RegistryOverride] = field(default_factory=dict)


def read(value: Value, around: YamlContext) -> SyncFile:
    """What ``value`` says; mistakes become findings."""
    said = SyncFile()
    for registry, wants in value.items() if isinstance(value, MappingNode) else ():
        if not isinstance(wants, MappingNode):
            at = wants.at
            around.findings.add(at, f"`{registry}`: expected a mapping, got {describe(wants)}")
            continue
        for key in wants:
            if key not in KEYS:
                close = suggest_word(key, list(KEYS))
                around.findings.add(wants.key_at[key], f"unknown key `{key}`{close}")
        host = registry.partition("/")[0]
        said.registries[domain_of(host)] = _override(wants, around)
        said.images += _Repositories(registry, around).read(wants)
    return said


@dataclass(frozen=True, slots=True)
class _Repositories:
    """Reads the repositories of one registry."""

    registry: str
    around: YamlContext

    def read(self, wants: MappingNode) -> Iterator[SyncEntry]:
        for repository, value, at in self._members(wants, "images"):
            yield from self._named(repository, value, at)
        for repository, value, at in self._members(wants, "images-by-tag-regex"):
            pattern = self._read(value, GoExpression.parse)
            if pattern is not None:
                yield SyncEntry(repository, at, Select(include=(pattern,)))
        for repository, value, at in self._members(wants, "images-by-semver"):
            versions = self._read(value, Constraint.parse)
            if versions is not None:
                yield SyncEntry(repository, at, Select(constraint=versions))

    def _members(
        self, wants: MappingNode, key: str
    ) -> Iterator[tuple[ImageReference, Value, Position]]:
        members = wants.get(key)
        if isinstance(members, MappingNode):
            for name, value in members.items():
                image = self._parse(f"{self.registry}/{name}", members.key_at[name])
                if image is not None:
                    yield image, value, members.key_at[name]
        elif members is not None and not (isinstance(members, ScalarNode) and members.is_null):
            text = f"`{key}`: expected a mapping of repositories, got {describe(members)}"
            self.around.findings.add(members.at, text)

    def _named(self, repository: ImageReference, value: Value, at: Position) -> Iterator[SyncEntry]:
        if isinstance(value, MappingNode) or (isinstance(value, ScalarNode) and not value.is_null):
            text = f"expected a list of tags (an empty one means all), got {describe(value)}"
            self.around.findings.add(value.at, text)
        elif isinstance(value, ScalarNode) or not value:
            yield SyncEntry(repository, at, Select())
        else:
            for item in value:
                version = self._text(item)
                if version is not None:
                    separator = "@" if ":" in version else ":"
                    image = self._parse(f"{repository}{separator}{version}", version.at)
                    if image is not None:
                        yield SyncEntry(image, version.at)

    def _read(self, value: Value, parse: Callable[[str], T]) -> T | None:
        text = self._text(value)
        try:
            return None if text is None else parse(text)
        except UsageError as error:
            self.around.findings.add(value.at, error.message)
            return None

    def _parse(self, text: str, at: Position) -> ImageReference | None:
        try:
            return ImageReference.parse(text)
        except InvalidReferenceError as error:
            self.around.findings.add(at, error.message)
            return None

    def _text(self, value: Value) -> ScalarNode | None:
        if isinstance(value, ScalarNode) and not value.is_null:
            return value
        self.around.findings.add(value.at, f"expected text, got {describe(value)}")
        return None


def _override(wants: MappingNode, around: YamlContext) -> RegistryOverride:
    verify = wants.get("tls-verify")
    switch = _SWITCHES.get(verify.lower()) if isinstance(verify, ScalarNode) else None
    if verify is not None and switch is None:
        text = f"`tls-verify`: expected true or false, got {describe(verify)}"
        around.findings.add(verify.at, text)
    return RegistryOverride(
        credentials=_credentials(wants.get("credentials"), around),
        tls_verify=switch,
        cert_dir=around.resolve_path(wants.get("cert-dir")),
    )


def _credentials(value: Value | None, around: YamlContext) -> Credentials | None:
    if value is None:
        return None
    username, password = get_member(value, "username"), get_member(value, "password")
    if isinstance(username, ScalarNode) and isinstance(password, ScalarNode):
        return Credentials(username=str(username), password=str(password))
    around.findings.add(value.at, "`credentials`: expected username and password")
    return None
