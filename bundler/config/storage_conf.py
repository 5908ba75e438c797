"""Where the images of this machine's containers lie: storage.conf, and what goes before it.

See containers-storage.conf(5). Without any file there are the usual places: one for root, and one
for each other user below the home directory.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.config import bounded_read
from bundler.config.paths import NO_OVERRIDES, ConfigPathOverrides
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTAINERS = Path("var/lib/containers/storage")


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage of containers' images."""

    root: Path
    run_root: Path
    driver: str | None = None
    """None: the one that was used there before."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By names such as ``overlay.mount_program``."""


@dataclass(frozen=True, slots=True)
class StorageConfPaths:
    """The files that may name the storage of one user, and what holds without them."""

    usual: Storage
    files: tuple[Path, ...] = ()
    """The first that exists holds."""
    required: bool = False
    """Whether the user named the file, so that its absence is a mistake."""
    own: Path | None = None
    """The one of ``files`` that is the user's own: others name root's places."""
    rootless: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What may stand in a path as ``$NAME``."""
    driver: str | None = None
    """What goes before the file."""
    options: tuple[str, ...] = ()
    """As ``driver``."""


def locate(
    environment: Mapping[str, str],
    home: Path,
    uid: int,
    overrides: ConfigPathOverrides = NO_OVERRIDES,
) -> StorageConfPaths:
    """Return the candidates for one user; the arguments are those of ``paths.locate``."""
    run = overrides.run
    named = environment.get("CONTAINERS_STORAGE_CONF")
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers/storage.conf"
    system = tuple(
        root / "containers/storage.conf" for root in (overrides.etc, overrides.usr_share)
    )
    if uid == 0:
        usual = Storage(Path("/") / _CONTAINERS, run / "containers/storage")
        files: tuple[Path, ...] = system
    else:
        data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share")
        runtime = Path(environment.get("XDG_RUNTIME_DIR") or run / "user" / str(uid))
        usual = Storage(data / "containers/storage", runtime / "containers")
        files = (own, *system)
    options = environment.get("STORAGE_OPTS") or ""
    return StorageConfPaths(
        usual,
        (Path(named),) if named else files,
        required=bool(named),
        own=Path(named) if named else own,
        rootless=uid != 0,
        variables={"HOME": str(home), "UID": str(uid), "USER": environment.get("USER") or ""},
        driver=environment.get("STORAGE_DRIVER") or None,
        options=tuple(option for option in options.split(",") if option),
    )


def load(locations: StorageConfPaths) -> Storage:
    """The storage that is meant where none is named.

    Raises:
        ConfigError: a file cannot be read or understood, or one that was named is not there.
    """
    found = locations.usual
    for path in locations.files:
        raw = bounded_read.read(path)
        if raw is not None:
            found = _from_file(_parsed(raw, path), path, locations)
            break
        if locations.required:
            raise ConfigError(
                f"{path}: there is no such file", hint="it is named by CONTAINERS_STORAGE_CONF"
            )
    if locations.driver is not None:
        found = replace(found, driver=locations.driver, options={})
    if locations.options:
        pairs = (option.partition("=") for option in locations.options)
        found = replace(found, options={key.strip(): value.strip() for key, _, value in pairs})
    return found


def _parsed(raw: bytes, path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - not where there is no such file

    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    section = document.get("storage", {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: storage is not a table")
    return section


def _from_file(section: dict[str, Any], path: Path, locations: StorageConfPaths) -> Storage:
    """A file of the administrator tells a user without privileges the driver, and no places."""
    usual = locations.usual
    root, run_root = (
        _path(section, key, path, locations.variables) for key in ("graphroot", "runroot")
    )
    if locations.rootless and path != locations.own:
        root = _path(section, "rootless_storage_path", path, locations.variables)
        run_root = None
    return Storage(
        root or usual.root,
        run_root or usual.run_root,
        _text(section, "driver", path),
        dict(_options(section.get("options", {}), path)),
    )


def _options(table: object, path: Path) -> list[tuple[str, str]]:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: storage.options is not a table")
    found = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += [(f"{key}.{inner}", str(one)) for inner, one in value.items()]
        elif isinstance(value, str):
            found.append((key, value))
    return found


def _path(
    section: dict[str, Any], key: str, path: Path, variables: Mapping[str, str]
) -> Path | None:
    text = _text(section, key, path)
    if text is None:
        return None
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    if not text.startswith("/"):
        raise ConfigError(f"{path}: {key} is not an absolute path: {text[:120]!r}")
    return Path(text)


def _text(section: dict[str, Any], key: str, path: Path) -> str | None:
    value = section.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{path}: {key} is not a string")
    return value or None
