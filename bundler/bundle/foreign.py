"""Lists of images in the forms of others, taken as they are.

A *list* has one reference in each line; ``#`` begins a comment. A *skopeo-sync* file maps
registries to repositories and tags; its credentials are used and kept nowhere.

https://github.com/containers/skopeo/blob/v1.18.0/docs/skopeo-sync.1.md#yaml-file-content
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.document import At, Fields, Items, Text, Value
from bundler.bundle.entries import Entry, Wishes, entry, expression, read_images, read_range
from bundler.bundle.references import in_registry
from bundler.bundle.schema import describe, nearest, plain
from bundler.bundle.tags import Select
from bundler.config.settings import Credentials, RegistryOverride
from bundler.errors import InvalidReferenceError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.access import Surroundings

_YAML_LINE = re.compile(r"---|[-?\[{&*!|>'\"%@]|[^#]*:(?:\s|$)")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_SKOPEO_KEYS = (
    "cert-dir",
    "credentials",
    "images",
    "images-by-semver",
    "images-by-tag-regex",
    "tls-verify",
)
_OWN_KEYS = {"name", "expires", "registries", "defaults", "images", "exclude", "rename", "include"}
_SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def is_list(text: str) -> bool:
    """Whether ``text`` is a list: its first line that says anything is not YAML's."""
    for line in text.splitlines():
        if said := _COMMENT.sub("", line).strip():
            return _YAML_LINE.match(said) is None
    return False


def read_list(text: str, wishes: Wishes, around: Surroundings, file: str) -> Iterator[Entry]:
    """The entries of a list; mistakes become findings."""
    references = Items()
    for number, line in enumerate(text.splitlines(), 1):
        said = _COMMENT.sub("", line)
        word = Text(said.strip())
        if not word:
            continue
        word.at = At(file, number, len(said) - len(said.lstrip()) + 1)
        word.plain = True
        if len(word.split()) > 1:
            around.findings.add(word.at, "expected one reference in a line, got several words")
        else:
            references.append(word)
    return read_images(references, wishes, around)


def is_skopeo_sync(value: Value) -> bool:
    """Whether ``value`` is what ``skopeo sync`` takes."""
    return (
        isinstance(value, Fields)
        and not _OWN_KEYS & set(value)
        and any(
            isinstance(part, Fields) and set(_SKOPEO_KEYS) & set(part) for part in value.values()
        )
    )


@dataclass(slots=True)
class SkopeoSync:
    """What a skopeo-sync file says."""

    entries: list[Entry] = field(default_factory=list)
    registries: dict[str, RegistryOverride] = field(default_factory=dict)


def read_skopeo_sync(value: Value, wishes: Wishes, around: Surroundings) -> SkopeoSync:
    """The entries and registries of a skopeo-sync file; mistakes become findings."""
    sync = SkopeoSync()
    for registry, wants in value.items() if isinstance(value, Fields) else ():
        if not isinstance(wants, Fields):
            at = wants.at
            around.findings.add(at, f"`{registry}`: expected a mapping, got {describe(wants)}")
            continue
        for key in wants:
            if key not in _SKOPEO_KEYS:
                close = nearest(key, list(_SKOPEO_KEYS))
                around.findings.add(wants.key_at[key], f"unknown key `{key}`{close}")
        host = registry.partition("/")[0]
        sync.registries[host] = _override(wants, around)
        sync.entries += _Repositories(registry, wishes, around).read(wants)
    return sync


@dataclass(frozen=True, slots=True)
class _Repositories:
    """Reads the repositories of one registry."""

    registry: str
    wishes: Wishes
    around: Surroundings

    def read(self, wants: Fields) -> Iterator[Entry]:
        for repository, value, at in self._members(wants, "images"):
            yield from self._named(repository, value, at)
        for repository, value, at in self._members(wants, "images-by-tag-regex"):
            pattern = expression(self._text(value), self.around.findings)
            if pattern is not None:
                yield self._selected(repository, at, Select(include=(pattern,)))
        for repository, value, at in self._members(wants, "images-by-semver"):
            versions = read_range(self._text(value), self.around.findings)
            if versions is not None:
                yield self._selected(repository, at, Select(semver=versions))

    def _members(self, wants: Fields, key: str) -> Iterator[tuple[ImageReference, Value, At]]:
        members = wants.get(key)
        if isinstance(members, Fields):
            for name, value in members.items():
                image = self._parse(f"{self.registry}/{name}", members.key_at[name])
                if image is not None:
                    yield image, value, members.key_at[name]
        elif members is not None and not (isinstance(members, Text) and members.is_null):
            text = f"`{key}`: expected a mapping of repositories, got {describe(members)}"
            self.around.findings.add(members.at, text)

    def _named(self, repository: ImageReference, value: Value, at: At) -> Iterator[Entry]:
        if isinstance(value, Fields) or (isinstance(value, Text) and not value.is_null):
            text = f"expected a list of tags (an empty one means all), got {describe(value)}"
            self.around.findings.add(value.at, text)
        elif isinstance(value, Text) or not value:
            yield self._selected(repository, at, Select())
        else:
            for item in value:
                version = self._text(item)
                if version is not None:
                    separator = "@" if ":" in version else ":"
                    image = self._parse(f"{repository}{separator}{version}", version.at)
                    if image is not None:
                        yield entry(in_registry(image), self.around.origin(version.at), self.wishes)

    def _selected(self, repository: ImageReference, at: At, select: Select) -> Entry:
        return entry(in_registry(repository), self.around.origin(at), self.wishes, select=select)

    def _parse(self, text: str, at: At) -> ImageReference | None:
        try:
            return ImageReference.parse(text)
        except InvalidReferenceError as error:
            self.around.findings.add(at, error.message)
            return None

    def _text(self, value: Value) -> Text | None:
        if isinstance(value, Text) and not value.is_null:
            return value
        self.around.findings.add(value.at, f"expected text, got {describe(value)}")
        return None


def _override(wants: Fields, around: Surroundings) -> RegistryOverride:
    verify = wants.get("tls-verify")
    switch = _SWITCHES.get(verify.lower()) if isinstance(verify, Text) else None
    if verify is not None and switch is None:
        text = f"`tls-verify`: expected true or false, got {describe(verify)}"
        around.findings.add(verify.at, text)
    return RegistryOverride(
        credentials=_credentials(wants.get("credentials"), around),
        tls_verify=switch,
        cert_dir=around.path(wants.get("cert-dir")),
    )


def _credentials(value: Value | None, around: Surroundings) -> Credentials | None:
    if value is None:
        return None
    username, password = plain(value, "username"), plain(value, "password")
    if isinstance(username, Text) and isinstance(password, Text):
        return Credentials(username=str(username), password=str(password))
    around.findings.add(value.at, "`credentials`: expected username and password")
    return None
