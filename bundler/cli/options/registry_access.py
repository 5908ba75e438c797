"""The options that say how one place is reached: who to be, whom to trust, where it listens."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options import global_options
from bundler.cli.options.go_bool import GoBoolOption
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.registry_access import Credentials, RegistryOverride

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """What the command line says about one place; None: not said."""

    creds: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_token: str | None = field(default=None, repr=False)
    no_creds: bool = False
    authfile: Path | None = None
    cert_dir: Path | None = None
    tls_verify: bool | None = None
    daemon_host: str | None = None
    """Where a container engine listens."""
    shared_blob_dir: Path | None = None
    """The directory of blobs that several image layouts share."""
    both_authfile: Path | None = None
    """The credentials file for both sides; ``authfile`` overrides it."""
    both_tls_verify: bool | None = None
    """The TLS setting for both sides; ``tls_verify`` overrides it."""

    @property
    def given(self) -> bool:
        """Whether an option that needs a registry on this side was given.

        Options for both sides do not count: the other side may be the registry.
        """
        local = {"daemon_host": None, "shared_blob_dir": None}
        both = {"both_authfile": None, "both_tls_verify": None}
        return replace(self, **local, **both) != AccessOptions()  # type: ignore[arg-type]

    def override(self) -> RegistryOverride | None:
        """The settings for the registry client; None if no option concerns it.

        Raises:
            UsageError: options that exclude one another.
        """
        local = {"daemon_host": None, "shared_blob_dir": None}
        if replace(self, **local) == AccessOptions():  # type: ignore[arg-type]
            return None
        from bundler.config.registry_access import RegistryOverride  # noqa: PLC0415 - not for --help

        return RegistryOverride(
            credentials=self._credentials(),
            authfile=self.both_authfile if self.authfile is None else self.authfile,
            tls_verify=self.both_tls_verify if self.tls_verify is None else self.tls_verify,
            cert_dir=self.cert_dir,
        )

    def complete(self) -> AccessOptions:
        """The same, once a password that ``--creds`` lacks was asked for.

        Raises:
            UsageError: options that exclude one another, or nobody there to be asked.
        """
        self._refuse_conflicts()
        if self.creds is None or ":" in self.creds:
            return self
        password = click.prompt(f"Password of {self.creds}", hide_input=True, err=True)
        return replace(self, creds=f"{self.creds}:{password}")

    def _credentials(self) -> Credentials | None:
        from bundler.config.registry_access import ANONYMOUS, Credentials  # noqa: PLC0415 - as above

        self._refuse_conflicts()
        if self.registry_token is not None:
            return Credentials(registry_token=self.registry_token)
        if self.no_creds:
            return ANONYMOUS
        if self.username is not None:
            return Credentials(username=self.username, password=self.password)
        if self.creds is None:
            missing = self.authfile is not None and not self.authfile.exists()
            lenient = global_options.said().ignore_unused_options
            return ANONYMOUS if missing and lenient else None
        username, _, password = self.creds.partition(":")
        return Credentials(username=username, password=password)

    def _refuse_conflicts(self) -> None:
        present = {
            "--creds": self.creds is not None,
            "--username": self.username is not None,
            "--registry-token": self._token_counts(),
            "--no-creds": self.no_creds,
        }
        given = [name for name, there in present.items() if there]
        if len(given) > 1:
            raise UsageError(f"{given[0]} and {given[1]} exclude one another")
        if self.creds is not None and self.creds.partition(":")[0] == "":
            raise UsageError("--creds names no user", hint="write --creds USER[:PASSWORD]")
        if self.username is not None and self.password is None:
            raise UsageError("--username needs --password", hint="--creds USER asks for it")
        if self.password is not None and self.username is None:
            raise UsageError("--password needs --username")

    def _token_counts(self) -> bool:
        """A token leaves no use for other credentials, which may be wanted all the same."""
        return self.registry_token is not None and not global_options.said().ignore_unused_options


def access(
    prefix: str = "", what: str = "the registry", *, local: bool = True
) -> Callable[[Decorated], Decorated]:
    """Options for one side; ``src-`` gathers them in the parameter ``src_access``.

    Without ``local`` there are none for places that are no registries: engines and layouts.
    """
    made = _options(prefix, what)
    return _gathering(f"{prefix}access", prefix, made if local else made[: -len(_LOCAL)])


def both_sides(*, local: bool = True) -> Callable[[Decorated], Decorated]:
    """Options for two sides, in ``src_access`` and ``dest_access``, and some for both at once."""

    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def spread(
            *arguments: Any,  # noqa: ANN401
            src_access: AccessOptions,
            dest_access: AccessOptions,
            authfile: Path | None,
            tls_verify: bool | None,
            **given: Any,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            sides = {"src_access": src_access, "dest_access": dest_access}
            both = {
                side: replace(said, both_authfile=authfile, both_tls_verify=tls_verify)
                for side, said in sides.items()
            }
            return function(*arguments, **both, **given)

        both = (_option("authfile", "", "both sides"), _option("tls-verify", "", "each registry"))
        for option in reversed(both):
            spread = option(spread)
        for prefix, side in (("dest-", "the destination"), ("src-", "the source")):
            spread = access(prefix, side, local=local)(spread)
        return spread  # type: ignore[return-value]

    return decorate


def _gathering(
    parameter: str, prefix: str, made: list[Callable[[Any], Any]]
) -> Callable[[Decorated], Decorated]:
    parameter = parameter.replace("-", "_")
    fields = {name: f"{prefix}{name}".replace("-", "_") for name in AccessOptions.__slots__}

    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def gather(*arguments: Any, **given: Any) -> Any:  # noqa: ANN401
            values = {name: given.pop(option) for name, option in fields.items() if option in given}
            said = AccessOptions(**values).complete()
            return function(*arguments, **{parameter: said}, **given)

        for option in reversed(made):
            gather = option(gather)
        return gather  # type: ignore[return-value]

    return decorate


_REMOTE: dict[str, tuple[dict[str, Any], str]] = {
    "creds": (
        {"metavar": "USER[:PASSWORD]"},
        "Credentials for {}; a password that is not given is asked for.",
    ),
    "username": ({"metavar": "USER"}, "User's name for {}; with a password."),
    "password": ({"metavar": "PASSWORD"}, "Password for {}; others see it in the process list."),
    "registry-token": ({"metavar": "TOKEN"}, "Bearer token to send to {} as it is."),
    "no-creds": ({"is_flag": True}, "Be anonymous to {}."),
    "authfile": ({"metavar": "FILE", "type": _PATH}, "File with the credentials for {}."),
    "cert-dir": (
        {"metavar": "DIRECTORY", "type": _PATH},
        "Directory with *.crt, *.cert and *.key for {}.",
    ),
    "tls-verify": (
        {"cls": GoBoolOption},
        "Whether {} must prove who it is; unset: as registries.conf says.",
    ),
}
_LOCAL: dict[str, tuple[dict[str, Any], str]] = {
    "daemon-host": (
        {"metavar": "HOST"},
        "Where the engine of docker-daemon: listens: unix:///path/of/its/socket, http://host:port.",
    ),
    "shared-blob-dir": (
        {"metavar": "DIRECTORY", "type": _PATH},
        "The directory in which layouts of oci: share their blobs.",
    ),
}
_OPTIONS = {**_REMOTE, **_LOCAL}


def _options(prefix: str, what: str) -> list[Callable[[Any], Any]]:
    return [_option(name, prefix, what) for name in _OPTIONS]


def _option(name: str, prefix: str, what: str) -> Callable[[Any], Any]:
    settings, says = _OPTIONS[name]
    return click.option(f"--{prefix}{name}", help=says.format(what), **settings)
