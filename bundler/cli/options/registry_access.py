"""Options for access to a source or destination: credentials, certificates, addresses."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.options.common import PATH
from bundler.cli.options.option import (
    Decorated,
    GoBoolOption,
    OptionSpec,
    option,
    option_group,
    parse_duration,
    refuse_conflicts,
)
from bundler.cli.runtime.prompts import prompt
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.cli.runtime.context import AccessSettings, CommandRun
    from bundler.config.registry_access import RegistryOverride
    from bundler.ports import OpenOptions


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
    patience: float | None = None
    """Number of seconds for which a registry may be unavailable."""
    upload_chunk: int | None = None
    """Maximum size in bytes of an upload request."""
    daemon_host: str | None = None
    """Address of a container engine."""
    shared_blob_dir: Path | None = None
    """Directory of blobs that several image layouts share."""
    both_authfile: Path | None = None
    """The credentials file for both sides; ``authfile`` overrides it."""
    both_tls_verify: bool | None = None
    """The TLS setting for both sides; ``tls_verify`` overrides it."""
    both_patience: float | None = None
    """The patience with the registries of both sides."""
    prefix: str = field(default="", compare=False)
    """The prefix of the options, for messages: ``src-``, ``dest-``, or empty."""

    def refuse_registry_options(self, text: str) -> None:
        """Refuse options that require a registry on this side, which is the local ``text``.

        Options for both sides are accepted: the other side may be the registry. So is the TLS
        setting, which scripts give for every copy, and which has no effect here.

        Raises:
            UsageError: there is such an option.
        """
        for name in _REGISTRY_ONLY:
            if getattr(self, name.replace("-", "_")) not in (None, False):
                prefix = self.prefix if name in _REGISTRY else ""
                raise UsageError(
                    f"{text[:200]}: --{prefix}{name} does not apply (expected docker://)",
                    hint="leave it out",
                )

    def create_override(self) -> RegistryOverride | None:
        """Return the settings for the registry client; None if no option affects it."""
        if replace(self, **_LOCAL_UNSET) == AccessOptions():
            return None
        from bundler.config.registry_access import (  # noqa: PLC0415 - not for --help
            ANONYMOUS,
            Credentials,
            RegistryLimits,
            RegistryOverride,
        )

        patience = self.both_patience if self.patience is None else self.patience
        credentials = None
        if self.registry_token is not None:
            credentials = Credentials(registry_token=self.registry_token)
        elif self.no_creds:
            credentials = ANONYMOUS
        elif self.username is not None:
            credentials = Credentials(username=self.username, password=self.password)
        elif self.creds is not None:
            username, _, password = self.creds.partition(":")
            credentials = Credentials(username=username, password=password)
        return RegistryOverride(
            credentials=credentials,
            authfile=self.both_authfile if self.authfile is None else self.authfile,
            tls_verify=self.both_tls_verify if self.tls_verify is None else self.tls_verify,
            cert_dir=self.cert_dir,
            limits=None if patience is None else RegistryLimits(patience=patience),
            upload_chunk=self.upload_chunk,
        )

    def create_settings(self) -> AccessSettings:
        """Return the settings for opening references."""
        from bundler.cli.runtime.context import AccessSettings  # noqa: PLC0415 - not for --help

        return AccessSettings.create(self.create_override(), self.daemon_host, self.shared_blob_dir)

    def create_open_options(self, run: CommandRun, text: str) -> OpenOptions:
        """Return the options for opening the reference ``text``.

        Raises:
            UsageError: if options do not apply to its transport.
        """
        settings = self.create_settings()
        for name, options in settings.transport_options.items():
            if not text.startswith(f"{options.transport}:"):
                raise UsageError(
                    f"{text[:200]!r}: {name} does not apply (expected {options.transport}:)"
                )
        from bundler import transports  # noqa: PLC0415 - not for --help

        if self.daemon_host is None and transports.find_registry_host(text) is None:
            self.refuse_registry_options(text)
        return run.create_open_options_for(text, settings)

    @classmethod
    def complete(cls, **values: Any) -> AccessOptions:  # noqa: ANN401 - click's
        """Check the values that click parsed, and prompt for a missing password."""
        options = cls(**values)
        creds, username, password = options.creds, options.username, options.password
        refuse_conflicts(
            {
                "--creds": creds,
                "--username": username,
                "--registry-token": options.registry_token,
                "--no-creds": options.no_creds,
            }
        )
        if username is not None and password is None:
            raise UsageError(
                "--username needs --password", hint="use --creds USER to be prompted for it"
            )
        if password is not None and username is None:
            raise UsageError("--password needs --username")
        if creds is not None and creds.partition(":")[0] == "":
            raise UsageError("--creds: user name missing", hint="use --creds USER[:PASSWORD]")
        if creds is None or ":" in creds:
            return options
        password = ask_for_password(creds, hint=f"use --{options.prefix}creds USER:PASSWORD")
        return replace(options, creds=f"{creds}:{password}")


_LOCAL_UNSET: dict[str, Any] = {"daemon_host": None, "shared_blob_dir": None}


def ask_for_password(username: str, *, hint: str) -> str:
    """Prompt for a password on the terminal; ``hint`` is the alternative to a prompt.

    Raises:
        UsageError: standard input is not a terminal.
    """
    return prompt(f"Password of {username}", hidden=True, hint=hint)


def _parse_chunk(text: str) -> int:
    from bundler.config.sizes import parse_chunk  # noqa: PLC0415 - for an option that is rarely used

    try:
        return parse_chunk(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def registry_access(subject: str, *, uploads: bool = False) -> Callable[[Decorated], Decorated]:
    """Add the access options of one registry; their values are in ``access``."""
    options = _REGISTRY | _PATIENCE | (_UPLOADS if uploads else {})
    return _create_group("", "Registry", subject, options)


def access(subject: str) -> Callable[[Decorated], Decorated]:
    """Add the access options of one source or destination; their values are in ``access``."""
    return _create_group("", "Access", subject, _REGISTRY | _PATIENCE | _LOCAL)


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
            patience: float | None,
            upload_chunk: int | None,
            **values: Any,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            both: dict[str, Any] = {
                "both_authfile": authfile,
                "both_tls_verify": tls_verify,
                "both_patience": patience,
            }
            values["src_access"] = replace(src_access, **both)
            values["dest_access"] = replace(dest_access, upload_chunk=upload_chunk, **both)
            return function(*arguments, **values)

        destination = _create_group("dest_", "Destination", "the destination", options)
        source = _create_group("src_", "Source", "the source", options)
        for name, subject in (
            ("upload-chunk", "the destination"),
            ("patience", "a registry"),
            ("tls-verify", "each registry"),
            ("authfile", "both sides"),
        ):
            effect, attributes = (_REGISTRY | _PATIENCE | _UPLOADS)[name]
            section, text = "Source and destination", effect.format(subject)
            merge = option(f"--{name}", section=section, help=text, **attributes)(merge)
        return source(destination(merge))  # type: ignore[return-value]

    return decorate


def _create_group(
    prefix: str, section: str, subject: str, options: dict[str, tuple[str, dict[str, Any]]]
) -> Callable[[Decorated], Decorated]:
    specs = {
        name.replace("-", "_"): OptionSpec(
            (f"--{prefix.replace('_', '-')}{name}",), attributes | {"help": effect.format(subject)}
        )
        for name, (effect, attributes) in options.items()
    }
    complete = functools.partial(AccessOptions.complete, prefix=prefix.replace("_", "-"))
    return option_group(complete, f"{prefix}access", section, specs, prefix)


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
_REGISTRY_ONLY = (*(name for name in _REGISTRY if name != "tls-verify"), "patience", "upload-chunk")
"""The options that are refused without a registry."""
_PATIENCE: dict[str, tuple[str, dict[str, Any]]] = {
    "patience": (
        "Retry requests to {} for this long while it is unavailable (default: 60s).",
        {"metavar": "DURATION", "type": parse_duration},
    ),
}
_UPLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "upload-chunk": (
        "Maximum size of each upload request to {}, for example 90MiB (default: no limit).",
        {"metavar": "SIZE", "callback": lambda _, __, text: text and _parse_chunk(text)},
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
