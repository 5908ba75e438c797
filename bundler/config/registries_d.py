"""Reader of registries.d: the locations of simple signatures, by registry, namespace and image.

The format is that of containers-registries.d(5). All ``*.yaml`` files in one directory are read; a
scope may appear in only one of them.

An unknown key is refused, since a misspelled one would drop signatures. Skopeo ignores it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bundler.config import config_file
from bundler.errors import ConfigError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bundler.oci.reference import ImageReference

MAX_FILES = 1000

_LOOKASIDE = ("lookaside", "sigstore")
_STAGING = ("lookaside-staging", "sigstore-staging")
_ATTACHMENTS = "use-sigstore-attachments"
_SCHEMES = ("file", "http", "https")
_BOOLEANS = {"true": True, "yes": True, "y": True, "on": True} | {
    "false": False, "no": False, "n": False, "off": False,
}  # fmt: skip
"""The booleans of YAML 1.1, in lower case."""


@dataclass(frozen=True, slots=True)
class LookasideConfig:
    """Settings of one scope. If a setting is None, that of the next wider scope applies."""

    lookaside: str | None = None
    """The URL that signatures are read from."""
    lookaside_staging: str | None = None
    """The URL that signatures are written to."""
    use_sigstore_attachments: bool | None = None


@dataclass(frozen=True, slots=True)
class RegistriesD:
    """Content of one directory."""

    default: LookasideConfig | None = None
    scopes: Mapping[str, LookasideConfig] = field(default_factory=dict, hash=False)

    def find_lookaside(self, image: ImageReference, to: Literal["read", "write"]) -> str | None:
        """Return the base URL for the signatures of ``image``; None if none is configured.

        Writes use the staging URL if the scope has one.
        """
        for section in self._list_scopes(image):
            if to == "write" and section.lookaside_staging is not None:
                return section.lookaside_staging
            if section.lookaside is not None:
                return section.lookaside
        return None

    def uses_sigstore_attachments(self, image: ImageReference) -> bool:
        """Return whether sigstore signatures of ``image`` are stored in its registry."""
        for section in self._list_scopes(image):
            if section.use_sigstore_attachments is not None:
                return section.use_sigstore_attachments
        return False

    def _list_scopes(self, image: ImageReference) -> Iterable[LookasideConfig]:
        """Yield the settings from the narrowest scope to the default."""
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


def load(directories: Iterable[Path], *, ignore_unknown: bool = False) -> RegistriesD:
    """Read the first existing directory; ``ignore_unknown`` keys, as Skopeo does, or refuse them.

    Raises:
        ConfigError: a file is unreadable or invalid, or a scope appears in two files.
    """
    for directory in directories:
        entries = config_file.list_directory(directory)
        if entries is None:
            continue
        entries = [entry for entry in entries if entry.suffix == ".yaml"]
        if len(entries) > MAX_FILES:
            raise ConfigError(f"{directory}: more than {MAX_FILES:,} files", path=str(directory))
        return _read_files(entries, ignore_unknown=ignore_unknown)
    return RegistriesD()


def _read_files(files: Iterable[Path], *, ignore_unknown: bool) -> RegistriesD:
    default: LookasideConfig | None = None
    scopes: dict[str, LookasideConfig] = {}
    origins: dict[str, Path] = {}
    for path in files:
        document = config_file.parse_yaml(config_file.read(path, required=True), str(path))
        if not ignore_unknown:
            document.refuse_unknown(("default-docker", "docker"))
        sections = {
            f"docker {scope}": Table.of(
                {} if value is None else value,
                f"{path}: docker {scope}",
                error=document.error,
                noun="mapping",
            )
            for scope, value in document.table("docker").value.items()
        }
        if "default-docker" in document:
            sections["default-docker"] = document.table("default-docker")
        for name, section in sections.items():
            if name in origins:
                raise document.problem(f"{name} is also in {origins[name]}")
            origins[name] = path
            if not ignore_unknown:
                section.refuse_unknown((*_LOOKASIDE, *_STAGING, _ATTACHMENTS))
            text = section.optional_text(_ATTACHMENTS)
            attachments = None if text is None else _BOOLEANS.get(text.lower())
            if text is not None and attachments is None:
                raise section.problem(f"{_ATTACHMENTS} is neither true nor false")
            config = LookasideConfig(
                _read_url(section, *_LOOKASIDE), _read_url(section, *_STAGING), attachments
            )
            if name == "default-docker":
                default = config
            else:
                scopes[name.removeprefix("docker ")] = config
    return RegistriesD(default, scopes)


def _read_url(section: Table, key: str, former_key: str) -> str | None:
    """Read a URL. The former key is used only if the current one is absent."""
    name = key if section.optional_text(key) else former_key
    text = section.optional_text(name)
    if text is None:
        return None
    try:
        scheme = urlsplit(text).scheme
    except ValueError:
        scheme = ""
    if scheme not in _SCHEMES:
        raise section.problem(f"{name}: expected a URL with {', '.join(_SCHEMES)}")
    return text
