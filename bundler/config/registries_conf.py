"""Reader of registries.conf: mirrors, rewritten locations, blocked and insecure registries.

The format is that of containers-registries.conf(5), versions 1 and 2. Settings for short names are
ignored, because references always include the registry.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from bundler.config import config_file
from bundler.errors import ConfigError, InvalidReferenceError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.config.paths import ConfigPaths
    from bundler.oci.json.table import Table

AUTH_FILES = "containers-auth.json"
"""The entry of ``credential-helpers`` that denotes the authfiles."""

PullFrom = Literal["all", "digest-only", "tag-only"]


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror, which is tried before the registry."""

    location: str
    insecure: bool = False
    pull_from: PullFrom = "all"

    def serves(self, image: ImageReference) -> bool:
        """Return whether ``image`` may be pulled from this mirror."""
        kind = "tag-only" if image.digest is None else "digest-only"
        return self.pull_from in ("all", kind)


@dataclass(frozen=True, slots=True)
class Registry:
    """A ``[[registry]]`` table."""

    prefix: str
    """``host[:port]``, optionally with a path, tag or digest; or ``*.domain``."""
    location: str
    """The replacement for the prefix; if it is empty, references are not rewritten."""
    origin: Path
    """The file that contains the table."""
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def measure_match(self, name: str) -> int:
        """Return the number of characters of ``name`` that the prefix matches; 0 if none."""
        if self.prefix.startswith("*."):
            domain = name.split("/", 1)[0].split("@", 1)[0]
            host = domain.split(":", 1)[0]
            return len(host) if host.endswith(self.prefix[1:]) else 0
        if not name.startswith(self.prefix):
            return 0
        rest = name[len(self.prefix) :]
        return len(self.prefix) if not rest or rest[0] in ":/@" else 0

    def rewrite(self, location: str, image: ImageReference) -> ImageReference:
        """Return ``image`` with the prefix replaced by ``location``.

        Raises:
            ConfigError: the result is not a valid reference.
        """
        name = _to_lookup_name(image)
        rewritten = location + name[self.measure_match(name) :]
        subject, path = f"{self.origin}: location {location!r}", str(self.origin)
        try:
            result = ImageReference.parse(rewritten)
        except InvalidReferenceError as error:
            raise ConfigError(f"{subject}: {error}", path=path) from None
        if not rewritten.startswith(f"{result.domain}/"):
            raise ConfigError(f"{subject}: no registry", path=path)
        if result.version not in (None, image.version):
            raise ConfigError(f"{subject}: unexpected tag or digest", path=path)
        return result


@dataclass(frozen=True, slots=True)
class RegistriesConf:
    """Combined content of all files."""

    registries: tuple[Registry, ...] = ()
    credential_helpers: tuple[str, ...] = field(default=(AUTH_FILES,))

    def find(self, target: str | ImageReference) -> Registry | None:
        """Return the table with the longest prefix that matches ``target``; None if none does."""
        name = target if isinstance(target, str) else _to_lookup_name(target)
        matching = [registry for registry in self.registries if registry.measure_match(name)]
        return max(matching, key=lambda registry: len(registry.prefix), default=None)


def load(paths: ConfigPaths) -> RegistriesConf:
    """Read the main file, the drop-ins and the override, in this order.

    A later table replaces an earlier one with the same prefix.

    Raises:
        ConfigError: a file is unreadable or invalid, or a specified file does not exist.
    """
    files: list[RegistriesConf] = []
    for path in paths.registries_conf:
        raw = config_file.read(path, required=paths.registries_conf_required)
        if raw is not None:
            files.append(parse(raw, path))
            break
    drop_ins: dict[str, Path] = {}  # by file name, because the last directory wins
    for directory in paths.registries_conf_d:
        for entry in config_file.list_directory(directory) or ():
            if entry.name.endswith(".conf") and not entry.is_dir():
                drop_ins[entry.name] = entry
    for path in (drop_ins[name] for name in sorted(drop_ins)):
        raw = config_file.read(path)
        if raw is not None:
            files.append(parse(raw, path, only_v2=True))
    if (override := paths.registries_conf_override) is not None:
        raw = config_file.read(override, required=True)
        files.append(parse(raw, override, only_v2=True))
    tables: dict[str, Registry] = {}
    helpers: tuple[str, ...] = ()
    for file in files:
        tables |= {registry.prefix: registry for registry in file.registries}
        helpers = file.credential_helpers or helpers
    return RegistriesConf(tuple(tables.values()), helpers or (AUTH_FILES,))


def parse(raw: bytes, path: Path, *, only_v2: bool = False) -> RegistriesConf:
    """Parse one file. ``credential_helpers`` is empty if the file has none.

    Raises:
        ConfigError: the file is invalid; the message names the path, and the line for bad TOML.
    """
    document = config_file.parse_toml(raw, path)
    search, insecure, blocked = (
        [
            _check_location(text, document)
            for text in document.table("registries").table(key).texts("registries")
        ]
        for key in ("search", "insecure", "block")
    )
    registries = [
        Registry(name, name, path, insecure=name in insecure, blocked=name in blocked)
        for name in dict.fromkeys(search + insecure + blocked)
    ]
    tables = document.tables("registry")
    helpers = document.texts("credential-helpers")
    if registries and only_v2:
        raise document.problem("version 1 in a drop-in (expected version 2, with [[registry]])")
    if registries and (tables or helpers or document.texts("unqualified-search-registries")):
        raise document.problem("mixes version 1 ([registries.…]) and version 2 ([[registry]])")
    registries = registries or [_parse_registry(table, path) for table in tables]
    by_location: dict[str, Registry] = {}
    by_prefix: dict[str, Registry] = {}
    for registry in registries:
        location = registry.location or registry.prefix
        first = by_location.setdefault(location, registry)
        for setting in ("insecure", "blocked"):
            if getattr(registry, setting) != getattr(first, setting):
                raise document.problem(f"{location!r} appears twice with different {setting}")
        by_prefix.setdefault(registry.prefix, registry)
    return RegistriesConf(tuple(by_prefix.values()), helpers)


def _to_lookup_name(image: ImageReference) -> str:
    """Return the name to compare with prefixes. A digest takes precedence over a tag."""
    return str(image if image.digest is None else replace(image, tag=None))


def _parse_registry(table: Table, path: Path) -> Registry:
    location = _read_location(table, "location")
    prefix = _read_location(table, "prefix") or location
    if not prefix:
        raise table.problem("has neither prefix nor location")
    table = replace(table, subject=f"{path}: registry {prefix!r}")
    if prefix.startswith("*."):
        if any(char in prefix for char in "/@:") or "*" in prefix[1:]:
            raise table.problem("invalid wildcard (expected *.DOMAIN)")
    elif not location:
        raise table.problem("has no location")
    if "pull-from-mirror" in table:
        raise table.problem("pull-from-mirror is allowed only in [[registry.mirror]]")
    digest_only = table.flag("mirror-by-digest-only", default=False)
    mirrors = []
    for mirror in table.tables("mirror"):
        address = _read_location(mirror, "location")
        if not address:
            raise mirror.problem("has no location")
        pull_from: PullFrom = "digest-only" if digest_only else "all"
        if mirror.value.get("pull-from-mirror"):
            if digest_only:
                raise mirror.problem(
                    "mirror-by-digest-only and pull-from-mirror are mutually exclusive"
                )
            pull_from = mirror.one_of("pull-from-mirror", get_args(PullFrom))
        mirrors.append(Mirror(address, mirror.flag("insecure", default=False), pull_from))
    insecure, blocked = (table.flag(key, default=False) for key in ("insecure", "blocked"))
    return Registry(prefix, location, path, insecure, blocked, tuple(mirrors))


def _read_location(table: Table, key: str) -> str:
    return _check_location(table.optional_text(key) or "", table)


def _check_location(text: str, table: Table) -> str:
    if text.startswith(("http://", "https://")):
        raise table.problem(f"{text!r}: expected host[:port][/path] without http://")
    return text.rstrip("/")
