"""Options that several commands share, as decorators; what they gather is a frozen value."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.config.settings import Credentials, RegistryOverride

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

PATH = click.Path(path_type=Path)

_AS_IT_IS = "\b\n"  # click leaves the lines of such a paragraph alone

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """What the command line says about the registry on one side."""

    creds: str | None = field(default=None, repr=False)
    no_creds: bool = False
    authfile: Path | None = None
    cert_dir: Path | None = None
    tls_verify: bool | None = None

    @property
    def given(self) -> bool:
        """Whether anything was said."""
        return self != AccessOptions()

    def override(self) -> RegistryOverride:
        """The same for the registry client; asks for a password that is not given.

        Raises:
            UsageError: options that exclude one another, or nobody there to be asked.
        """
        from bundler.config.settings import (  # noqa: PLC0415 - not for --help
            ANONYMOUS,
            RegistryOverride,
        )

        if self.no_creds and self.creds is not None:
            raise UsageError("--creds and --no-creds exclude one another")
        return RegistryOverride(
            credentials=ANONYMOUS if self.no_creds else _credentials(self.creds),
            authfile=self.authfile,
            tls_verify=self.tls_verify,
            cert_dir=self.cert_dir,
        )


@dataclass(frozen=True, slots=True)
class NamingOptions:
    """What the command line says of names at a target."""

    moves: tuple[str, ...]
    keep_host: bool
    existing: str | None


class Switch(click.Option):
    """``--name`` means ``--name=true``, and ``--name=false`` says no; unset it is None.

    It never takes the next argument for its value, as a command line made for Go expects.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*arguments, **{"callback": _read_switch} | settings)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option as it is written: ``--name[=BOOL]``."""
        record = super().get_help_record(ctx)
        return record and (f"{', '.join(self.opts)}[=BOOL]", record[1])


class Command(click.Command):
    """A command whose switches need no value, and that takes the flags of the program too."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **settings)
        if examples:
            lines = "\n".join(f"$ {example}" for example in examples)
            self.help = f"{inspect.cleandoc(self.help or '')}\n\n{_AS_IT_IS}{lines}"
        self.params += [
            _program_flag("-q", "--quiet", says="Say nothing on stderr but errors."),
            _program_flag("--debug", says="Show where in the program an error comes from."),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give the switches that stand alone their value, then parse."""
        switches = {
            spelling
            for param in self.params
            if isinstance(param, Switch)
            for spelling in param.opts
        }
        end = args.index("--") if "--" in args else len(args)
        options = [f"{arg}=true" if arg in switches else arg for arg in args[:end]]
        return super().parse_args(ctx, options + args[end:])


def command(
    name: str,
    *examples: str,
    **settings: Any,  # noqa: ANN401
) -> Callable[[Callable[..., Any]], Command]:
    """As ``click.command``, for every command of this program; its help ends with ``examples``."""
    return click.command(name, cls=Command, examples=examples, **settings)


def access(prefix: str = "", what: str = "the registry") -> Callable[[Decorated], Decorated]:
    """Options for one side; ``src-`` gathers them in the parameter ``src_access``."""
    parameter = f"{prefix}access".replace("-", "_")
    fields = {name: f"{prefix}{name}".replace("-", "_") for name in AccessOptions.__slots__}

    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def gather(*arguments: Any, **given: Any) -> Any:  # noqa: ANN401
            values = {name: given.pop(option) for name, option in fields.items()}
            return function(*arguments, **{parameter: AccessOptions(**values)}, **given)

        for option in reversed(_access_options(prefix, what)):
            gather = option(gather)
        return gather  # type: ignore[return-value]

    return decorate


def daemon_host(prefix: str, what: str) -> Callable[[Decorated], Decorated]:
    """``--src-daemon-host``, in the parameter ``src_daemon_host``; None: not said."""
    return click.option(
        f"--{prefix}daemon-host",
        metavar="HOST",
        help=f"Where {what} listens: unix:///path/of/its/socket or http://host:port.",
    )


def naming(function: Decorated) -> Decorated:
    """Options for names at a target, gathered in the parameter ``naming``."""

    @functools.wraps(function)
    def gather(
        *arguments: Any,  # noqa: ANN401
        moves: tuple[str, ...],
        keep_host: bool,
        existing: str | None,
        **given: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return function(*arguments, naming=NamingOptions(moves, keep_host, existing), **given)

    for option in reversed(_NAMING_OPTIONS):
        gather = option(gather)
    return gather  # type: ignore[return-value]


def jobs(function: Decorated) -> Decorated:
    """``--jobs``: how much may happen at once, in the parameter ``jobs``; None: not said."""
    return click.option(
        "-j",
        "--jobs",
        metavar="N",
        type=click.IntRange(1, 64),
        help="How many blobs move at once: 6 if not said.",
    )(function)


def passphrase_file(says: str) -> Callable[[Decorated], Decorated]:
    """``--passphrase-file``, in the parameter ``passphrase_file``."""
    return click.option("--passphrase-file", type=PATH, help=says)


def as_json(function: Decorated) -> Decorated:
    """``--json``, in the parameter ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document for machines."
    )(function)


def quiet() -> bool:
    """Whether the user wants no word but errors."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get("quiet"))


def _read_switch(context: click.Context, param: click.Parameter, value: str | None) -> bool | None:
    if value is None or value in _TRUE:
        return None if value is None else True
    if value not in _FALSE:
        raise click.BadParameter(f"{value!r} is neither true nor false", context, param)
    return False


_NAMING_OPTIONS = (
    click.option(
        "--names",
        "moves",
        multiple=True,
        metavar="FROM=TO",
        help="Names that begin with FROM get TO.",
    ),
    click.option("--keep-host", is_flag=True, help="Keep the original registry in the names."),
    click.option(
        "--existing",
        type=click.Choice(["error", "skip", "overwrite"]),
        help="What to do with names that hold something else; error if not said.",
    ),
)


def _access_options(prefix: str, what: str) -> list[Callable[[Any], Any]]:
    return [
        click.option(
            f"--{prefix}creds",
            metavar="USER[:PASSWORD]",
            help=f"Credentials for {what}; a password that is not given is asked for.",
        ),
        click.option(f"--{prefix}no-creds", is_flag=True, help=f"Be anonymous to {what}."),
        click.option(
            f"--{prefix}authfile",
            metavar="FILE",
            type=PATH,
            help=f"File with the credentials for {what}.",
        ),
        click.option(
            f"--{prefix}cert-dir",
            metavar="DIRECTORY",
            type=PATH,
            help=f"Directory with *.crt, *.cert and *.key for {what}.",
        ),
        click.option(
            f"--{prefix}tls-verify",
            cls=Switch,
            help=f"Whether {what} must prove who it is; unset: as registries.conf says.",
        ),
    ]


def _credentials(creds: str | None) -> Credentials | None:
    from bundler.config.settings import Credentials  # noqa: PLC0415 - not for --help

    if creds is None:
        return None
    username, colon, password = creds.partition(":")
    if not username:
        raise UsageError("--creds names no user", hint="write --creds USER[:PASSWORD]")
    if not colon:
        password = click.prompt(f"Password of {username}", hide_input=True, err=True)
    return Credentials(username=username, password=password)


def _program_flag(*spellings: str, says: str) -> click.Option:
    def keep(context: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            context.meta[param.name or ""] = True

    return click.Option(spellings, is_flag=True, expose_value=False, callback=keep, help=says)
