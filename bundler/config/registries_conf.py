"""registries.conf: where images really are, which registries are blocked, which are insecure.

containers-registries.conf(5), version 2 and the older version 1. What concerns short names is
left out: a reference here always names its registry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from bundler.config import bounded_read
from bundler.errors import ConfigError, InvalidReferenceError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bundler.config.paths import ConfigPaths

AUTH_FILES = "containers-auth.json"
"""The name in ``credential-helpers`` that stands for the files of credentials."""

PullFrom = Literal["all", "digest-only", "tag-only"]
_PULL_FROM = ("all", "digest-only", "tag-only")
_V1_TABLES = ("search", "insecure", "block")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A place to try before the registry itself."""

    location: str
    insecure: bool = False
    pull_from: PullFrom = "all"

    def serves(self, image: ImageReference) -> bool:
        """Whether ``image`` may be pulled from here."""
        wanted = "tag-only" if image.digest is None else "digest-only"
        return self.pull_from in ("all", wanted)


@dataclass(frozen=True, slots=True)
class Registry:
    """A ``[[registry]]`` table."""

    prefix: str
    """``host[:port]``, with or without a path, tag or digest; or ``*.domain``."""
    location: str
    """What stands in the place of the prefix; empty: the name stays."""
    origin: Path
    """The file that says so."""
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()

    def match_length(self, name: str) -> int:
        """How many characters of ``name`` the prefix stands for; 0: it does not match."""
        if self.prefix.startswith("*."):
            domain = name.split("/", 1)[0].split("@", 1)[0]
            host = domain.split(":", 1)[0]
            return len(host) if host.endswith(self.prefix[1:]) else 0
        if not name.startswith(self.prefix):
            return 0
        rest = name[len(self.prefix) :]
        return len(self.prefix) if not rest or rest[0] in ":/@" else 0

    def rewrite(self, location: str, image: ImageReference) -> ImageReference:
        """The repository that ``image`` is at ``location``.

        Raises:
            ConfigError: the location does not make a repository's name.
        """
        name = to_lookup_name(image)
        rewritten = location + name[self.match_length(name) :]
        try:
            result = ImageReference.parse(rewritten)
        except InvalidReferenceError as error:
            raise ConfigError(f"{self.origin}: the location {location!r}: {error}") from None
        if not rewritten.startswith(f"{result.domain}/"):
            raise ConfigError(f"{self.origin}: the location {location!r} names no registry")
        if result.version not in (None, image.version):
            raise ConfigError(f"{self.origin}: the location {location!r} holds a tag or a digest")
        return result


@dataclass(frozen=True, slots=True)
class RegistriesConf:
    """All files together."""

    registries: tuple[Registry, ...] = ()
    credential_helpers: tuple[str, ...] = field(default=(AUTH_FILES,))

    def find(self, name: str) -> Registry | None:
        """The table with the longest prefix of ``name``: a registry, repository or image."""
        matching = [registry for registry in self.registries if registry.match_length(name)]
        return max(matching, key=lambda registry: len(registry.prefix), default=None)


def to_lookup_name(image: ImageReference) -> str:
    """The name by which ``image`` is looked up; of tag and digest, the digest counts."""
    if image.digest is not None:
        return f"{image.repository}@{image.digest}"
    return f"{image.repository}:{image.tag}" if image.tag else image.repository


def load(locations: ConfigPaths) -> RegistriesConf:
    """Read the main file, then the drop-ins, then the override.

    A later table replaces an earlier one with the same prefix.

    Raises:
        ConfigError: a file cannot be read or believed, or one that was named is not there.
    """
    files = [_main(locations)]
    files += [(path, bounded_read.read(path)) for path in _drop_ins(locations.registries_conf_d)]
    override = locations.registries_conf_override
    if override is not None:
        files.append((override, bounded_read.read(override, required=True)))
    tables: dict[str, Registry] = {}
    helpers: tuple[str, ...] = ()
    for index, (path, raw) in enumerate(files):
        if path is None or raw is None:
            continue
        parsed = parse(raw, path, only_v2=index > 0)
        tables |= {registry.prefix: registry for registry in parsed.registries}
        helpers = parsed.credential_helpers or helpers
    return RegistriesConf(tuple(tables.values()), helpers or (AUTH_FILES,))


def parse(raw: bytes, path: Path, *, only_v2: bool = False) -> RegistriesConf:
    """One file alone; ``credential_helpers`` is empty where it says nothing.

    Raises:
        ConfigError: with the path, and the line where it is not TOML.
    """
    import tomllib  # noqa: PLC0415 - not where there is no such file

    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    v1 = _v1(document, path)
    helpers = _texts(document, "credential-helpers", path)
    tables = _tables(document, "registry", path)
    search = _texts(document, "unqualified-search-registries", path)
    if v1 and only_v2:
        raise ConfigError(f"{path}: a drop-in must be written in version 2, with [[registry]]")
    if v1 and (tables or helpers or search):
        raise ConfigError(f"{path}: mixes version 1 ([registries.…]) and version 2 ([[registry]])")
    registries = v1 or [_registry(table, path) for table in tables]
    _refuse_conflicts(registries, path)
    first: dict[str, Registry] = {}
    for registry in registries:
        first.setdefault(registry.prefix, registry)
    return RegistriesConf(tuple(first.values()), helpers)


def _main(locations: ConfigPaths) -> tuple[Path | None, bytes | None]:
    for path in locations.registries_conf:
        raw = bounded_read.read(path, required=locations.registries_conf_required)
        if raw is not None:
            return path, raw
    return None, None


def _drop_ins(directories: Iterable[Path]) -> list[Path]:
    found: dict[str, Path] = {}
    for directory in directories:
        try:
            entries = list(directory.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConfigError(f"{directory}: cannot be read: {error.strerror}") from None
        found |= {entry.name: entry for entry in entries if _is_drop_in(entry)}
    return [found[name] for name in sorted(found)]


def _is_drop_in(entry: Path) -> bool:
    return entry.name.endswith(".conf") and not entry.is_dir()


def _registry(table: dict[str, Any], path: Path) -> Registry:
    location = _location(table, "location", path)
    prefix = _location(table, "prefix", path) or location
    what = f"{path}: the registry {prefix!r}"
    if not prefix:
        raise ConfigError(f"{path}: a registry has neither prefix nor location")
    if prefix.startswith("*."):
        if any(char in prefix for char in "/@:") or "*" in prefix[1:]:
            raise ConfigError(f"{what}: after *. only a domain may stand")
    elif not location:
        raise ConfigError(f"{what}: has no location")
    if "pull-from-mirror" in table:
        raise ConfigError(f"{what}: pull-from-mirror belongs to a mirror")
    digest_only = _flag(table, "mirror-by-digest-only", what)
    return Registry(
        prefix=prefix,
        location=location,
        origin=path,
        insecure=_flag(table, "insecure", what),
        blocked=_flag(table, "blocked", what),
        mirrors=tuple(
            _mirror(mirror, path, what, digest_only=digest_only)
            for mirror in _tables(table, "mirror", path)
        ),
    )


def _mirror(table: dict[str, Any], path: Path, what: str, *, digest_only: bool) -> Mirror:
    location = _location(table, "location", path)
    if not location:
        raise ConfigError(f"{what}: a mirror has no location")
    pull_from = table.get("pull-from-mirror") or ("digest-only" if digest_only else "all")
    if pull_from not in _PULL_FROM:
        raise ConfigError(f"{what}: pull-from-mirror is one of {', '.join(_PULL_FROM)}")
    if digest_only and table.get("pull-from-mirror"):
        raise ConfigError(f"{what}: mirror-by-digest-only and pull-from-mirror exclude each other")
    insecure = _flag(table, "insecure", what)
    return Mirror(location, insecure, cast("PullFrom", pull_from))


def _v1(document: dict[str, Any], path: Path) -> list[Registry]:
    tables = document.get("registries", {})
    if not isinstance(tables, dict):
        raise ConfigError(f"{path}: registries is not a table")
    found: dict[str, list[str]] = {}
    for name in _V1_TABLES:
        table = tables.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: registries.{name} is not a table")
        found[name] = [_trimmed(text, path) for text in _texts(table, "registries", path)]
    names = dict.fromkeys(found["search"] + found["insecure"] + found["block"])
    return [
        Registry(name, name, path, name in found["insecure"], name in found["block"])
        for name in names
    ]


def _refuse_conflicts(registries: list[Registry], path: Path) -> None:
    """One place may not be secure under one prefix and insecure under another."""
    seen: dict[str, Registry] = {}
    for registry in registries:
        other = seen.setdefault(registry.location or registry.prefix, registry)
        for setting in ("insecure", "blocked"):
            if getattr(registry, setting) != getattr(other, setting):
                raise ConfigError(
                    f"{path}: {registry.location or registry.prefix!r} is there twice, "
                    f"with different values of {setting}"
                )


def _location(table: dict[str, Any], key: str, path: Path) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(f"{path}: {key} is not a string")
    return _trimmed(value, path)


def _trimmed(text: str, path: Path) -> str:
    if text.startswith(("http://", "https://")):
        raise ConfigError(f"{path}: {text!r}: write host[:port][/path] without http://")
    return text.rstrip("/")


def _flag(table: dict[str, Any], key: str, what: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{what}: {key} is neither true nor false")
    return value


def _tables(table: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"{path}: {key} is not an array of tables; write [[{key}]]")
    return value


def _texts(table: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{path}: {key} is not an array of strings")
    return tuple(value)
