"""Options for access to a source or destination: credentials, certificates, addresses."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options.common import PATH
from bundler.cli.options.option import GoBoolOption, OptionSpec, option, option_group, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.cli.runtime.context import AccessSettings
    from bundler.config.registry_access import Credentials, RegistryOverride

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """The access options of one source or destination; None if unset."""

    creds: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_token: str | None = field(default=None, repr=False)
    no_creds: bool = False
    authfile: Path | None = None
    cert_dir: Path | None = None
    tls_verify: bool | None = None
    daemon_host: str | None = None
    """Address of a container engine."""
    shared_blob_dir: Path | None = None
    """Directory of blobs that several image layouts share."""
    both_authfile: Path | None = None
    """The credentials file for both sides; ``authfile`` overrides it."""
    both_tls_verify: bool | None = None
    """The TLS setting for both sides; ``tls_verify`` overrides it."""

    @property
    def given(self) -> bool:
        """Whether an option was given that requires a registry on this side.

        Options for both sides do not count: the other side may be the registry.
        """
        local = {"daemon_host": None, "shared_blob_dir": None}
        both = {"both_authfile": None, "both_tls_verify": None}
        return replace(self, **local, **both) != AccessOptions()  # type: ignore[arg-type]

    def create_override(self) -> RegistryOverride | None:
        """Return the settings for the registry client; None if no option affects it.

        Raises:
            UsageError: if options exclude one another.
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

    def create_settings(self) -> AccessSettings:
        """Return the settings for opening references.

        Raises:
            UsageError: if options exclude one another.
        """
        from bundler.cli.runtime.context import AccessSettings  # noqa: PLC0415 - not for --help

        return AccessSettings.create(self.create_override(), self.daemon_host, self.shared_blob_dir)

    def create_settings_for(self, text: str) -> AccessSettings:
        """Return the settings for opening the reference ``text``.

        Raises:
            UsageError: if options exclude one another, or do not apply to its transport.
        """
        settings = self.create_settings()
        for name, options in settings.transport_options.items():
            if not text.startswith(f"{options.transport}:"):
                raise UsageError(
                    f"{text[:200]!r}: {name} does not apply (expected {options.transport}:)"
                )
        if not self.given or self.daemon_host is not None:
            return settings
        from bundler import transports  # noqa: PLC0415 - not for --help

        if transports.find_registry_host(text) is None:
            raise UsageError(f"{text[:200]!r}: registry options do not apply (expected docker://)")
        return settings

    @classmethod
    def complete(cls, **values: Any) -> AccessOptions:  # noqa: ANN401 - click's
        """Return the options with the values that click parsed, after a prompt for a password.

        Raises:
            UsageError: if options exclude one another, or a password is needed without a terminal.
        """
        options = cls(**values)
        options._refuse_conflicts()
        if options.creds is None or ":" in options.creds:
            return options
        return replace(options, creds=f"{options.creds}:{ask_for_password(options.creds)}")

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
            return None
        username, _, password = self.creds.partition(":")
        return Credentials(username=username, password=password)

    def _refuse_conflicts(self) -> None:
        present = {
            "--creds": self.creds is not None,
            "--username": self.username is not None,
            "--registry-token": self.registry_token is not None,
            "--no-creds": self.no_creds,
        }
        given = [name for name, is_given in present.items() if is_given]
        if len(given) > 1:
            raise UsageError(f"{given[0]} and {given[1]} exclude one another")
        if self.creds is not None and self.creds.partition(":")[0] == "":
            raise UsageError("--creds: user name missing", hint="use --creds USER[:PASSWORD]")
        if self.username is not None and self.password is None:
            raise UsageError(
                "--username needs --password", hint="use --creds USER to be prompted for it"
            )
        if self.password is not None and self.username is None:
            raise UsageError("--password needs --username")


def ask_for_password(username: str) -> str:
    """Prompt for a password on the terminal."""
    password: str = click.prompt(f"Password of {username}", hide_input=True, err=True)
    return password


def registry_access(subject: str) -> Callable[[Decorated], Decorated]:
    """Add the access options of one registry; their values are in ``access``."""
    return _access_group("", "access", "Registry", subject, _REGISTRY)


def access(subject: str) -> Callable[[Decorated], Decorated]:
    """Add the access options of one source or destination; their values are in ``access``."""
    return _access_group("", "access", "Access", subject, _REGISTRY | _LOCAL)


def both_sides(*, local: bool = True) -> Callable[[Decorated], Decorated]:
    """Add the access options of both sides, in ``src_access`` and ``dest_access``.

    Options without a prefix apply to both sides, unless a side overrides them. With ``local``
    false, the options for container engines and layouts are omitted.
    """
    options = _REGISTRY | _LOCAL if local else _REGISTRY

    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def merge(
            *arguments: Any,  # noqa: ANN401
            src_access: AccessOptions,
            dest_access: AccessOptions,
            authfile: Path | None,
            tls_verify: bool | None,
            **values: Any,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            both = {"both_authfile": authfile, "both_tls_verify": tls_verify}
            values["src_access"] = replace(src_access, **both)  # type: ignore[arg-type]
            values["dest_access"] = replace(dest_access, **both)  # type: ignore[arg-type]
            return function(*arguments, **values)

        for name, subject in (("tls-verify", "each registry"), ("authfile", "both sides")):
            item = _describe(name, "", subject)
            merge = option(*item.spellings, section="Source and destination", **item.attributes)(
                merge
            )
        destination = _access_group(
            "dest_", "dest_access", "Destination", "the destination", options
        )
        source = _access_group("src_", "src_access", "Source", "the source", options)
        return source(destination(merge))  # type: ignore[return-value]

    return decorate


_REGISTRY: dict[str, tuple[str, dict[str, Any]]] = {
    "creds": (
        "Credentials for {}; a missing password is prompted for.",
        {"metavar": "USER[:PASSWORD]"},
    ),
    "username": ("User name for {}; requires a password option.", {"metavar": "USER"}),
    "password": (
        "Password for {}; visible to other users in the process list.",
        {"metavar": "PASSWORD"},
    ),
    "registry-token": ("Bearer token to send to {} unchanged.", {"metavar": "TOKEN"}),
    "no-creds": ("Access {} without credentials.", {"is_flag": True}),
    "authfile": ("Read credentials for {} from this file.", {"metavar": "FILE", "type": PATH}),
    "cert-dir": (
        "Directory with certificates for {}: *.crt, *.cert, *.key.",
        {"metavar": "DIRECTORY", "type": PATH},
    ),
    "tls-verify": (
        "Verify the TLS certificate of {} (default: from registries.conf).",
        {"cls": GoBoolOption},
    ),
}
_LOCAL: dict[str, tuple[str, dict[str, Any]]] = {
    "daemon-host": (
        "Address of the container engine for docker-daemon: unix:///path/to/socket or http://HOST:PORT.",
        {"metavar": "HOST"},
    ),
    "shared-blob-dir": (
        "Directory in which oci: layouts share their blobs.",
        {"metavar": "DIRECTORY", "type": PATH},
    ),
}


def _access_group(
    prefix: str,
    parameter: str,
    section: str,
    subject: str,
    options: dict[str, tuple[str, dict[str, Any]]],
) -> Callable[[Decorated], Decorated]:
    specs = {name.replace("-", "_"): _describe(name, prefix, subject) for name in options}
    return option_group(AccessOptions.complete, parameter, section, specs, prefix)


def _describe(name: str, prefix: str, subject: str) -> OptionSpec:
    effect, attributes = (_REGISTRY | _LOCAL)[name]
    spelling = f"--{prefix.replace('_', '-')}{name}"
    return spec(spelling, help=effect.format(subject), **attributes)
