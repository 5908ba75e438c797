"""Global options, accepted before and after the command.

The parsed values are kept in the metadata of the click context, and ``read`` returns them as one
value. ``--help`` imports this module, so it imports neither pathlib nor dataclasses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bundler.cli.options.go_values import parse_duration
from bundler.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "bundler.global_options"
_PATHS = {"policy", "registries_conf", "tls_details", "tmpdir"}


class ProgramOptions(NamedTuple):
    """Values of the global options; None if unset."""

    quiet: bool = False
    debug: bool = False
    command_timeout: float | None = None
    """In seconds; 0 means no limit."""
    override_arch: str | None = None
    override_os: str | None = None
    override_variant: str | None = None
    policy: Path | None = None
    insecure_policy: bool = False
    require_signed: bool = False
    registries_conf: Path | None = None
    tls_details: Path | None = None
    tmpdir: Path | None = None
    user_agent_prefix: str = ""

    def check(self) -> None:
        """Check that the options are consistent.

        Raises:
            UsageError: if they are not.
        """
        if self.insecure_policy and self.require_signed:
            raise UsageError("--insecure-policy and --require-signed exclude one another")
        prefix = self.user_agent_prefix
        if prefix and not (prefix.isascii() and prefix.isprintable()):
            raise UsageError("--user-agent-prefix: invalid characters (expected printable ASCII)")

    def refuse_policy(self, command: str) -> None:
        """Refuse ``--policy`` and ``--require-signed`` for a command that does not evaluate them.

        Raises:
            UnsupportedError: if one of them was given.
        """
        for name, given in (
            ("--require-signed", self.require_signed),
            ("--policy", self.policy is not None),
        ):
            if given:
                raise UnsupportedError(
                    f"{name}: unsupported, since {command} does not evaluate policy.json",
                    hint="import --key FILE.pub accepts only bundles that this key has signed",
                )


def read(context: click.Context) -> ProgramOptions:
    """Return the options that were parsed so far in ``context`` and its parents."""
    from pathlib import Path  # noqa: PLC0415 - not for --help

    values = dict(context.meta.get(_KEY, {}))
    paths = {name: Path(values[name]) for name in _PATHS & values.keys()}
    return ProgramOptions(**values | paths)


def create_parameters(*, hidden: bool) -> list[click.Parameter]:
    """Return the options as click parameters; ``hidden`` hides all but --quiet and --debug."""
    return [
        _option("-q", "--quiet", is_flag=True, help="Print only errors on stderr."),
        _option("--debug", is_flag=True, help="Print a traceback for errors."),
        *(_option(*names, hidden=hidden, **rest) for names, rest in _LISTED_ONCE),
        click.Option(
            ["--registries.d", "_"], hidden=True, expose_value=False, callback=_refuse_registries_d
        ),
    ]


_LISTED_ONCE: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--command-timeout",),
        {
            "type": parse_duration,
            "metavar": "DURATION",
            "help": "Stop after this time: 90s, 1h30m (default: no limit).",
        },
    ),
    (
        ("--override-os",),
        {"metavar": "OS", "help": "Select images for this operating system from indexes."},
    ),
    (
        ("--override-arch",),
        {"metavar": "ARCHITECTURE", "help": "Select images for this architecture from indexes."},
    ),
    (
        ("--override-variant",),
        {"metavar": "VARIANT", "help": "Select images for this architecture variant from indexes."},
    ),
    (("--policy",), {"metavar": "FILE", "help": "Use this policy.json."}),
    (
        ("--insecure-policy",),
        {"is_flag": True, "help": "Accept every image, without a policy.json."},
    ),
    (
        ("--require-signed",),
        {"is_flag": True, "help": "Reject images for which policy.json requires no signature."},
    ),
    (
        ("--registries-conf",),
        {"metavar": "FILE", "help": "Use this file instead of the main registries.conf."},
    ),
    (
        ("--tls-details",),
        {"metavar": "FILE", "help": "Restrict TLS to the versions and ciphers in this file."},
    ),
    (
        ("--tmpdir",),
        {"metavar": "DIRECTORY", "help": "Directory for large temporary files."},
    ),
    (
        ("--user-agent-prefix",),
        {"metavar": "TEXT", "help": "Prefix of the User-Agent header."},
    ),
)


def _option(*spellings: str, **attributes: Any) -> click.Option:  # noqa: ANN401 - click's
    return click.Option(spellings, expose_value=False, callback=_store_value, **attributes)


def _store_value(context: click.Context, param: click.Parameter, value: object) -> None:
    """Store a given value; a default after the command must not override it."""
    if value not in (None, False) and param.name:
        context.meta.setdefault(_KEY, {})[param.name] = value


def _refuse_registries_d(context: click.Context, param: click.Parameter, value: object) -> None:  # noqa: ARG001 - click's signature
    """Refuse an option that would have no effect: lookaside signatures are not read."""
    if value is not None:
        raise UnsupportedError(
            "--registries.d: unsupported, since simple signatures in a lookaside are not read"
        )
