"""Reader of storage.conf, which specifies the location of the local image store.

The format is that of containers-storage.conf(5). The default location is system-wide for root, and
in the home directory for other users.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.config import config_file
from bundler.config.paths import NO_OVERRIDES, ConfigPathOverrides
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.oci.json.table import Table

_ROOT = Path("/var/lib/containers/storage")


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """The location and the driver of an image store."""

    root: Path
    run_root: Path
    driver: str | None = None
    """None: the driver that the store was created with."""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Driver options by name, such as ``overlay.mount_program``."""


@dataclass(frozen=True, slots=True)
class StorageConfPaths:
    """Candidate paths of storage.conf for one user, and the settings from other sources."""

    default: StorageConfig
    """Defaults for settings that the file does not contain."""
    files: tuple[Path, ...] = ()
    """The first existing file is read."""
    required: bool = False
    """Whether a missing file is an error, because the user specified it."""
    own: Path | None = None
    """The user's own file. For users other than root, locations in other files are ignored."""
    rootless: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Variables that are expanded in paths (``$NAME``)."""
    driver: str | None = None
    """Driver that overrides the one in the file; None if unset."""
    options: tuple[str, ...] = ()
    """Options ``NAME=VALUE`` that override those in the file; empty if unset."""


def locate(
    environment: Mapping[str, str],
    home: Path,
    uid: int,
    overrides: ConfigPathOverrides = NO_OVERRIDES,
) -> StorageConfPaths:
    """Return the candidates for one user; the arguments are those of ``paths.locate``."""
    named = environment.get("CONTAINERS_STORAGE_CONF")
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers/storage.conf"
    system = tuple(
        root / "containers/storage.conf" for root in (overrides.etc, overrides.usr_share)
    )
    if uid == 0:
        default = StorageConfig(_ROOT, overrides.run / "containers/storage")
        files: tuple[Path, ...] = system
    else:
        data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share")
        runtime = Path(environment.get("XDG_RUNTIME_DIR") or overrides.run / "user" / str(uid))
        default = StorageConfig(data / "containers/storage", runtime / "containers")
        files = (own, *system)
    options = environment.get("STORAGE_OPTS") or ""
    return StorageConfPaths(
        default,
        (Path(named),) if named else files,
        required=bool(named),
        own=Path(named) if named else own,
        rootless=uid != 0,
        variables={"HOME": str(home), "UID": str(uid), "USER": environment.get("USER") or ""},
        driver=environment.get("STORAGE_DRIVER") or None,
        options=tuple(option for option in options.split(",") if option),
    )


def load(paths: StorageConfPaths) -> StorageConfig:
    """Read the first existing file and apply the overrides.

    Raises:
        ConfigError: a file is unreadable or invalid, or a specified file does not exist.
    """
    storage = paths.default
    for path in paths.files:
        raw = config_file.read(path)
        if raw is not None:
            table = config_file.parse_toml(raw, path).table("storage")
            if paths.rootless and path != paths.own:
                root = _expand_path(table, "rootless_storage_path", paths.variables)
                run_root = None
            else:
                root = _expand_path(table, "graphroot", paths.variables)
                run_root = _expand_path(table, "runroot", paths.variables)
            options: dict[str, str] = {}
            for key, value in table.table("options").value.items():
                if isinstance(value, dict):
                    options |= {f"{key}.{name}": str(setting) for name, setting in value.items()}
                elif isinstance(value, str):
                    options[key] = value
            storage = StorageConfig(
                root or storage.root,
                run_root or storage.run_root,
                table.optional_text("driver"),
                options,
            )
            break
        if paths.required:
            hint = "correct or unset CONTAINERS_STORAGE_CONF"
            raise ConfigError(f"{path}: no such file", path=str(path), hint=hint)
    if paths.driver is not None:
        storage = replace(storage, driver=paths.driver, options={})
    if paths.options:
        pairs = (option.partition("=") for option in paths.options)
        storage = replace(storage, options={key.strip(): value.strip() for key, _, value in pairs})
    return storage


def _expand_path(table: Table, key: str, variables: Mapping[str, str]) -> Path | None:
    text = table.optional_text(key)
    if text is None:
        return None
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    if not text.startswith("/"):
        raise table.problem(f"{key}: expected an absolute path, got {text[:120]!r}")
    return Path(text)
