"""Paths of configuration files: all candidates, in order of precedence.

The orders are those of containers-auth.json(5), containers-registries.conf(5) and
containers-certs.d(5). No function here accesses the file system.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AuthLocation:
    """A candidate authfile."""

    path: Path
    legacy: bool = False
    """Whether it is a ``.dockercfg``, whose top-level members are the entries, keyed by URL."""
    required: bool = False
    """Whether a missing file is an error, because the user specified it."""


@dataclass(frozen=True, slots=True)
class ConfigPathOverrides:
    """Overrides of default paths (None if unset), and the base directories of the defaults."""

    authfile: Path | None = None
    """``--authfile``: the only authfile that is read."""
    registries_conf: Path | None = None
    """``--registries-conf``: the main file; drop-ins are read in addition."""
    policy_json: Path | None = None
    registries_d: Path | None = None
    tls_details: Path | None = None
    etc: Path = Path("/etc")
    """The directory of the administrator's configuration."""
    usr_share: Path = Path("/usr/share")
    """The directory of the distribution's configuration."""
    run: Path = Path("/run")
    """The directory of runtime files, which do not survive a reboot."""
    var_lib: Path = Path("/var/lib")
    """The directory of the system's persistent data."""


NO_OVERRIDES = ConfigPathOverrides()


@dataclass(frozen=True, slots=True)
class ConfigPaths:
    """Candidates in order of precedence. An empty value means that no file is read."""

    auth: tuple[AuthLocation, ...] = ()
    """Authfiles, all of which are read; ``login`` writes the first one."""
    registries_conf: tuple[Path, ...] = ()
    """The first existing one is the main file."""
    registries_conf_required: bool = False
    registries_conf_d: tuple[Path, ...] = ()
    """Directories of drop-ins, read in order of file name; for equal names, the last directory
    wins.
    """
    registries_conf_override: Path | None = None
    """The file that is read after all others; it must exist."""
    token_services: Path | None = None
    """The token services in other domains that ``login`` stored."""
    certs_d: tuple[Path, ...] = ()
    """Directories; the first one that has a subdirectory for the host applies."""
    policy_json: tuple[Path, ...] = ()
    """The first existing one applies."""
    policy_json_required: bool = False
    registries_d: tuple[Path, ...] = ()
    """The first existing directory applies."""
    lookaside: Path | None = None
    """The directory of signatures for registries for which registries.d states none."""
    tls_details: Path | None = None
    """The file of ``--tls-details``, which must exist."""
    kubeconfig: tuple[Path, ...] = ()
    """The files that describe the cluster of ``atomic:``; all existing ones are merged."""


def locate(
    environment: Mapping[str, str],
    home: Path,
    uid: int,
    overrides: ConfigPathOverrides = NO_OVERRIDES,
) -> ConfigPaths:
    """Return the candidates for the user with ``home`` and ``uid``.

    An empty variable in ``environment`` counts as unset. The drop-ins of registries.conf differ for
    root and other users.
    """
    etc = overrides.etc / "containers"
    usr_share = overrides.usr_share / "containers"
    base = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    config = base / "containers"
    data = overrides.var_lib if uid == 0 else home / ".local" / "share"
    main: tuple[Path, ...] = tuple(root / "registries.conf" for root in (config, etc, usr_share))
    drop_ins: list[Path] = []
    for root in (usr_share, etc):
        drop_ins.append(root / "registries.conf.d")
        if uid == 0:
            drop_ins.append(root / "registries.rootful.conf.d")
        else:
            rootless = root / "registries.rootless.conf.d"
            drop_ins += [rootless, rootless / str(uid)]
    drop_ins.append(config / "registries.conf.d")
    named = environment.get("CONTAINERS_REGISTRIES_CONF")
    if overrides.registries_conf is not None:
        main = (overrides.registries_conf,)
    elif named:
        main, drop_ins = (Path(named),), []
    override = environment.get("CONTAINERS_REGISTRIES_CONF_OVERRIDE")
    policy = overrides.policy_json or environment.get("CONTAINERS_POLICY_JSON")
    kubeconfig: tuple[Path, ...] = (home / ".kube" / "config",)
    if named_clusters := environment.get("KUBECONFIG"):
        kubeconfig = tuple(Path(path) for path in named_clusters.split(":") if path)
    return ConfigPaths(
        auth=_locate_authfiles(environment, home, uid, overrides),
        registries_conf=main,
        registries_conf_required=bool(overrides.registries_conf or named),
        registries_conf_d=tuple(drop_ins),
        registries_conf_override=Path(override) if override else None,
        token_services=base / "airbundle" / "token-services.json",
        certs_d=(
            config / "certs.d",
            etc / "certs.d",
            overrides.etc / "docker" / "certs.d",
            usr_share / "certs.d",
        ),
        policy_json=(Path(policy),)
        if policy
        else tuple(root / "policy.json" for root in (config, etc, usr_share)),
        policy_json_required=bool(policy),
        registries_d=(config / "registries.d", etc / "registries.d")
        if overrides.registries_d is None
        else (overrides.registries_d,),
        lookaside=data / "containers" / "sigstore",
        tls_details=overrides.tls_details,
        kubeconfig=kubeconfig,
    )


def locate_records(
    environment: Mapping[str, str], home: Path, uid: int, var_lib: Path = Path("/var/lib")
) -> tuple[Path | None, Path]:
    """Return the directories of the records of imports: the system's, and the user's.

    The system's is for root only, and applies if it exists; None for other users.
    """
    state = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state")
    return (var_lib / "airbundle" if uid == 0 else None), state / "airbundle"


def locate_cache(environment: Mapping[str, str], home: Path, name: str) -> Path:
    """Return the directory ``name`` in the cache of the user, as ``layers``.

    https://specifications.freedesktop.org/basedir-spec/0.8/
    """
    named = Path(environment.get("XDG_CACHE_HOME") or "")
    return (named if named.is_absolute() else home / ".cache") / "airbundle" / name


def locate_trust_files(environment: Mapping[str, str], home: Path | None) -> tuple[Path, ...]:
    """Return the candidates for the trust file of the site: the user's and the system's."""
    named = environment.get("XDG_CONFIG_HOME")
    base = Path(named) if named else home and home / ".config"
    user = () if base is None else (base / "airbundle" / "trust.json",)
    return (*user, Path("/etc/airbundle/trust.json"))


def _locate_authfiles(
    environment: Mapping[str, str], home: Path, uid: int, overrides: ConfigPathOverrides
) -> tuple[AuthLocation, ...]:
    if overrides.authfile is not None:
        return (AuthLocation(overrides.authfile, required=True),)
    if named := environment.get("REGISTRY_AUTH_FILE"):
        return (AuthLocation(Path(named)),)
    runtime = environment.get("XDG_RUNTIME_DIR")
    primary = Path(runtime) / "containers" if runtime else overrides.run / f"containers/{uid}"
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    docker = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    return (
        AuthLocation(primary / "auth.json"),
        AuthLocation(config / "containers" / "auth.json"),
        AuthLocation(docker / "config.json"),
        AuthLocation(home / ".dockercfg", legacy=True),
    )
