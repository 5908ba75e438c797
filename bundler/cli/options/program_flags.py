"""The flags of the whole program: they stand before the command, or after it.

What was given is kept with the context of the run; ``program_options`` makes a value of it. The
list of commands needs these flags too, so nothing is loaded here that it does not need.
"""

from __future__ import annotations

from typing import Any

import click

from bundler.cli.options import duration
from bundler.errors import UnsupportedError

_KEY = "bundler.program_flags"


def flags(*, hidden: bool) -> list[click.Parameter]:
    """The flags as parameters of a command; with ``hidden``, its help shows few of them."""
    return [
        _flag("-q", "--quiet", is_flag=True, help="Print only errors on stderr."),
        _flag("--debug", is_flag=True, help="Print a traceback for errors."),
        *(_flag(*names, hidden=hidden, **rest) for names, rest in _SHOWN_ONCE),
        click.Option(
            ["--registries.d", "_"], hidden=True, expose_value=False, callback=_refuse_registries_d
        ),
    ]


def given(context: click.Context) -> dict[str, Any]:
    """Return the flags that were parsed so far in ``context`` and its parents, by name."""
    return dict(context.meta.get(_KEY, {}))


_SHOWN_ONCE: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--command-timeout",),
        {
            "type": duration.parse_duration,
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


def _flag(*spellings: str, **settings: Any) -> click.Option:  # noqa: ANN401 - click's
    return click.Option(spellings, expose_value=False, callback=_keep, **settings)


def _keep(context: click.Context, param: click.Parameter, value: object) -> None:
    """Only what was given counts: a flag may stand before the command and not after it."""
    if value not in (None, False) and param.name:
        context.meta.setdefault(_KEY, {})[param.name] = value


def _refuse_registries_d(context: click.Context, param: click.Parameter, value: object) -> None:  # noqa: ARG001 - click's signature
    """Refuse a setting that would change nothing: the signatures it locates are not read."""
    if value is not None:
        raise UnsupportedError("--registries.d: signatures stored outside a registry are not read")
