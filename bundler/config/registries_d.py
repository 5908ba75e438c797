"""registries.d: where the signatures of images lie, by registry, namespace and image.

containers-registries.d(5). All ``*.yaml`` files of one directory count, in any order; a scope may
stand in one of them only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bundler.config.yaml import fields
from bundler.config.yaml.document import MappingNode, ScalarNode
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bundler.config.yaml.document import Value
    from bundler.oci.reference import ImageReference

MAX_FILES = 1000

_KEYS = (
    "lookaside",
    "sigstore",
    "lookaside-staging",
    "sigstore-staging",
    "use-sigstore-attachments",
)
_SCHEMES = ("file", "http", "https")


@dataclass(frozen=True, slots=True)
class LookasideConfig:
    """What is said of one scope; None: nothing, so that the nearest scope above it holds."""

    lookaside: str | None = None
    """The URL that signatures are read from."""
    lookaside_staging: str | None = None
    """The URL that signatures are written to."""
    use_sigstore_attachments: bool | None = None


@dataclass(frozen=True, slots=True)
class RegistriesD:
    """A whole directory."""

    default: LookasideConfig | None = None
    scopes: Mapping[str, LookasideConfig] = field(default_factory=dict, hash=False)

    def find_lookaside(self, image: ImageReference, to: Literal["read", "write"]) -> str | None:
        """The URL below which signatures of ``image`` are; None where nobody said.

        A scope that has a place to write to is written there, else where it is read.
        """
        for section in self._sections(image):
            if to == "write" and section.lookaside_staging is not None:
                return section.lookaside_staging
            if section.lookaside is not None:
                return section.lookaside
        return None

    def uses_sigstore_attachments(self, image: ImageReference) -> bool:
        """Whether sigstore's signatures beside ``image`` count."""
        for section in self._sections(image):
            if section.use_sigstore_attachments is not None:
                return section.use_sigstore_attachments
        return False

    def _sections(self, image: ImageReference) -> Iterable[LookasideConfig]:
        """From the image itself up to its registry, then the default."""
        separator = "@" if image.digest is not None else ":"
        scope = f"{image.repository}{separator}{image.with_default_tag().version}"
        if scope in self.scopes:
            yield self.scopes[scope]
        scope = image.repository
        while scope:
            if scope in self.scopes:
                yield self.scopes[scope]
            scope = scope.rpartition("/")[0]
        if self.default is not None:
            yield self.default


def load(directories: Iterable[Path]) -> RegistriesD:
    """What the first of ``directories`` that exists says.

    Raises:
        ConfigError: a file cannot be read or is not in order, or a scope stands in two of them.
    """
    for directory in directories:
        try:
            entries = sorted(entry for entry in directory.iterdir() if entry.suffix == ".yaml")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"{directory}: cannot be read: {error.strerror}") from None
        if len(entries) > MAX_FILES:
            raise ConfigError(f"{directory}: more than {MAX_FILES:,} files")
        return _merged(entries)
    return RegistriesD()


def _merged(files: Iterable[Path]) -> RegistriesD:
    default: LookasideConfig | None = None
    scopes: dict[str, LookasideConfig] = {}
    origins: dict[str, Path] = {}
    for path in files:
        found = fields.read(path) or MappingNode()
        fields.fields(found, str(path), ("default-docker", "docker"))
        if "default-docker" in found:
            _claim("default-docker", path, origins)
            default = _section(found["default-docker"], f"{path}: default-docker")
        for scope, value in _mapping(found.get("docker"), f"{path}: docker").items():
            _claim(f"docker {scope}", path, origins)
            scopes[scope] = _section(value, f"{path}: docker {scope}")
    return RegistriesD(default, scopes)


def _claim(name: str, path: Path, origins: dict[str, Path]) -> None:
    if name in origins:
        raise ConfigError(f"{path}: {name} stands in {origins[name]} too")
    origins[name] = path


def _section(value: Value, what: str) -> LookasideConfig:
    found = fields.fields(_mapping(value, what), what, _KEYS)
    attachments = found.get("use-sigstore-attachments")
    return LookasideConfig(
        _url(found, "lookaside", "sigstore", what),
        _url(found, "lookaside-staging", "sigstore-staging", what),
        None if attachments is None else _switch(attachments, f"{what}: use-sigstore-attachments"),
    )


def _mapping(value: Value | None, what: str) -> MappingNode:
    if value is None or (isinstance(value, ScalarNode) and value.is_null):
        return MappingNode()
    return fields.fields(value, what)


def _url(found: MappingNode, name: str, former_name: str, what: str) -> str | None:
    """The URL under ``name``; the name that it had before counts where this one is not there."""
    given = [key for key in (name, former_name) if key in found]
    if not given:
        return None
    text = fields.text(found[given[0]], f"{what}: {given[0]}")
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in _SCHEMES:
        raise ConfigError(f"{what}: {given[0]}: expected a URL with {', '.join(_SCHEMES)}")
    return text


def _switch(value: Value, what: str) -> bool:
    text = fields.text(value, what)
    if text not in ("true", "false"):
        raise ConfigError(f"{what}: expected true or false, got {text[:80]!r}")
    return text == "true"
