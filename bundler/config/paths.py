"""Paths of configuration files: all candidates, in order of precedence.

The orders are those of containers-auth.json(5), containers-registries.conf(5) and
containers-certs.d(5). No function here accesses the file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AuthLocation:
    """A possible authfile."""

    path: Path
    legacy: bool = False
    """``.dockercfg``: the entries are the members of the document, with URLs as keys."""
    required: bool = False
    """Whether the file was specified by the user, so that its absence is an error."""


@dataclass(frozen=True, slots=True)
class ConfigPathOverrides:
    """Paths that replace the default ones, and the directories that contain the default ones.

    None: the option is unset.
    """

    authfile: Path | None = None
    """``--authfile``: the only authfile that is read."""
    registries_conf: Path | None = None
    """``--registries-conf``: the main file; drop-ins are read in addition."""
    policy_json: Path | None = None
    """``--policy``."""
    registries_d: Path | None = None
    """The directory with registries.d files."""
    tls_details: Path | None = None
    """``--tls-details``."""
    etc: Path = Path("/etc")
    """The directory of the administrator's configuration."""
    usr_share: Path = Path("/usr/share")
    """The directory of the distribution's configuration."""
    run: Path = Path("/run")
    """The directory of runtime files, which a reboot removes."""


NO_OVERRIDES = ConfigPathOverrides()


@dataclass(frozen=True, slots=True)
class ConfigPaths:
    """Candidates in order of precedence. For an empty value, no file is read."""

    auth: tuple[AuthLocation, ...] = ()
    """All of them are read; ``login`` writes the first one."""
    registries_conf: tuple[Path, ...] = ()
    """The first existing one is the main file."""
    registries_conf_required: bool = False
    registries_conf_d: tuple[Path, ...] = ()
    """Read in the order of file names; of equal names, the one in the last directory applies."""
    registries_conf_override: Path | None = None
    """Read after all other files; must exist."""
    certs_d: tuple[Path, ...] = ()
    """The first one with a directory for the host applies."""
    policy_json: tuple[Path, ...] = ()
    """The first existing one applies."""
    policy_json_required: bool = False
    registries_d: tuple[Path, ...] = ()
    """The first existing directory applies."""
    tls_details: Path | None = None
    """Must exist."""


def locate(
    environment: Mapping[str, str],
    home: Path,
    uid: int,
    overrides: ConfigPathOverrides = NO_OVERRIDES,
) -> ConfigPaths:
    """Return the candidates for one user.

    Args:
        environment: the environment of the process; an empty variable counts as unset.
        home: the user's home directory.
        uid: the user ID; root and other users have different drop-ins.
        overrides: paths that replace the default ones.
    """
    etc, usr_share = overrides.etc, overrides.usr_share
    config = _get_directory(environment, "XDG_CONFIG_HOME", home / ".config") / "containers"
    system = (usr_share / "containers", etc / "containers")
    named = environment.get("CONTAINERS_REGISTRIES_CONF")
    override = environment.get("CONTAINERS_REGISTRIES_CONF_OVERRIDE")
    policy = overrides.policy_json or environment.get("CONTAINERS_POLICY_JSON")
    if overrides.registries_conf is not None:
        main: tuple[Path, ...] = (overrides.registries_conf,)
    elif named:
        main = (Path(named),)
    else:
        main = tuple(root / "registries.conf" for root in (config, *reversed(system)))
    return ConfigPaths(
        auth=_locate_authfiles(environment, home, uid, overrides),
        registries_conf=main,
        registries_conf_required=bool(overrides.registries_conf or named),
        registries_conf_d=()
        if named and overrides.registries_conf is None
        else (*_locate_drop_ins(system, uid), config / "registries.conf.d"),
        registries_conf_override=Path(override) if override else None,
        certs_d=(
            config / "certs.d",
            etc / "containers" / "certs.d",
            etc / "docker" / "certs.d",
            usr_share / "containers" / "certs.d",
        ),
        policy_json=(Path(policy),)
        if policy
        else tuple(root / "policy.json" for root in (config, *reversed(system))),
        policy_json_required=bool(policy),
        registries_d=(overrides.registries_d,)
        if overrides.registries_d is not None
        else (config / "registries.d", etc / "containers" / "registries.d"),
        tls_details=overrides.tls_details,
    )


def _locate_authfiles(
    environment: Mapping[str, str], home: Path, uid: int, overrides: ConfigPathOverrides
) -> tuple[AuthLocation, ...]:
    if overrides.authfile is not None:
        return (AuthLocation(overrides.authfile, required=True),)
    named = environment.get("REGISTRY_AUTH_FILE")
    if named:
        return (AuthLocation(Path(named)),)
    runtime = _get_directory(environment, "XDG_RUNTIME_DIR", None)
    primary = runtime / "containers" if runtime else overrides.run / "containers" / str(uid)
    config = _get_directory(environment, "XDG_CONFIG_HOME", home / ".config")
    docker = _get_directory(environment, "DOCKER_CONFIG", home / ".docker")
    return (
        AuthLocation(primary / "auth.json"),
        AuthLocation(config / "containers" / "auth.json"),
        AuthLocation(docker / "config.json"),
        AuthLocation(home / ".dockercfg", legacy=True),
    )


def _locate_drop_ins(roots: tuple[Path, ...], uid: int) -> list[Path]:
    directories = []
    for root in roots:
        directories.append(root / "registries.conf.d")
        if uid == 0:
            directories.append(root / "registries.rootful.conf.d")
        else:
            rootless = root / "registries.rootless.conf.d"
            directories += [rootless, rootless / str(uid)]
    return directories


@overload
def _get_directory(environment: Mapping[str, str], name: str, default: Path) -> Path: ...
@overload
def _get_directory(environment: Mapping[str, str], name: str, default: None) -> Path | None: ...
def _get_directory(environment: Mapping[str, str], name: str, default: Path | None) -> Path | None:
    value = environment.get(name)
    return Path(value) if value else default
