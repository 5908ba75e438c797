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
        _flag("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
        _flag("--debug", is_flag=True, help="Show where in the program an error comes from."),
        *(_flag(*names, hidden=hidden, **rest) for names, rest in _SHOWN_ONCE),
        *(_flag(*names, hidden=True, **rest) for names, rest in _NEVER_SHOWN),
        click.Option(
            ["--registries.d", "_"], hidden=True, expose_value=False, callback=_refuse_registries_d
        ),
    ]


def given(context: click.Context | None = None) -> dict[str, Any]:
    """The flags given so far, by name, in the run of ``context`` or of this thread's command."""
    context = context or click.get_current_context(silent=True)
    return {} if context is None else dict(context.meta.get(_KEY, {}))


_SHOWN_ONCE: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("--command-timeout",),
        {
            "type": duration.parse_duration,
            "metavar": "DURATION",
            "help": "Give up after this long: 90s, 1h30m.",
        },
    ),
    (
        ("--override-os",),
        {"metavar": "OS", "help": "Of lists, choose the image for this operating system."},
    ),
    (
        ("--override-arch",),
        {"metavar": "ARCHITECTURE", "help": "Of lists, choose the image for this processor."},
    ),
    (
        ("--override-variant",),
        {"metavar": "VARIANT", "help": "Of lists, choose the image for this kind of processor."},
    ),
    (("--policy",), {"metavar": "FILE", "help": "Trust as this policy.json says."}),
    (("--insecure-policy",), {"is_flag": True, "help": "Trust every image, whatever policy.json."}),
    (
        ("--require-signed",),
        {"is_flag": True, "help": "Refuse images for which policy.json asks for no signature."},
    ),
    (
        ("--registries-conf",),
        {"metavar": "FILE", "help": "In place of the main registries.conf."},
    ),
    (
        ("--tls-details",),
        {"metavar": "FILE", "help": "Which versions and ciphers TLS may use."},
    ),
    (
        ("--tmpdir",),
        {"metavar": "DIRECTORY", "help": "Where large temporary files go."},
    ),
    (
        ("--user-agent-prefix",),
        {"metavar": "TEXT", "help": "Put this before the program's name for registries."},
    ),
)
_NEVER_SHOWN: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--user-agent",), {}),
    (("--policy-must-exist",), {"is_flag": True}),
    (("--ignore-unused-options",), {"is_flag": True}),
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
