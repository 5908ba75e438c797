"""``airbundle login`` and ``logout``: keep the credentials for a registry, forget them."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import options, render, run
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.settings import Credentials
    from bundler.images.login import Place

_MAX_PASSWORD = 64 * 1024  # tokens are long, but not that long


def _places(function: Callable[..., None]) -> Callable[..., None]:
    """Options for the file; they are gathered in the parameter ``place``."""

    @functools.wraps(function)
    def gather(
        *arguments: object, authfile: Path | None, compat_auth_file: Path | None, **given: object
    ) -> None:
        from bundler.images.login import Place  # noqa: PLC0415 - not for --help

        if authfile is not None and compat_auth_file is not None:
            raise UsageError("--authfile and --compat-auth-file exclude one another")
        compat = compat_auth_file is not None
        function(*arguments, place=Place(authfile or compat_auth_file, compat), **given)

    path = click.Path(path_type=Path)
    gather = click.option(
        "--compat-auth-file", type=path, help="As --authfile, for a config.json of docker."
    )(gather)
    return click.option("--authfile", type=path, help="File to keep the credentials in.")(gather)


@options.command("login")
@click.argument("registry")
@click.option("-u", "--username", help="The user's name; asked for if not given.")
@click.option("-p", "--password", help="The password; others see it in the list of processes.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--get-login", is_flag=True, help="Print the user that is logged in.")
@click.option(
    "--cert-dir",
    type=click.Path(path_type=Path),
    help="Directory with *.crt, *.cert and *.key for the registry.",
)
@click.option("--tls-verify", cls=options.Switch, help="Whether the registry must prove itself.")
@click.option("-v", "--verbose", is_flag=True, help="Say where the credentials are kept.")
@_places
@options.as_json
def login(
    registry: str,
    *,
    username: str | None,
    password: str | None,
    password_stdin: bool,
    get_login: bool,
    cert_dir: Path | None,
    tls_verify: bool | None,
    verbose: bool,
    place: Place,
    as_json: bool,
) -> None:
    """Check credentials with REGISTRY and keep them.

    REGISTRY is HOST[:PORT], or HOST[:PORT]/NAMESPACE for a part of it. Without --username, what is
    kept already is checked anew; if nothing is, name and password are asked for.
    """
    from bundler.config.settings import RegistryOverride  # noqa: PLC0415 - not for --help
    from bundler.images import login as logins  # noqa: PLC0415

    target = logins.Registry.parse(registry)
    settings = run.settings()
    if get_login:
        user = logins.get_login(target, settings, place)
        _say({"registry": str(target), "username": user}, user, as_json=as_json)
        return
    said = RegistryOverride(tls_verify=tls_verify, cert_dir=cert_dir)
    kept = logins.existing(target, settings, place)
    renew = username is None and password is None and not password_stdin and not kept.anonymous
    credentials = kept if renew else _ask(username, password, from_stdin=password_stdin)
    with run.running() as work:
        verify = functools.partial(logins.ping, cancellation=work.cancellation, emit=work.emit)
        if renew:
            logins.check(target, credentials, settings, verify, override=said)
            where, text = None, f"Existing credentials are valid. Already logged in to {target}"
        else:
            where = logins.login(target, credentials, settings, verify, override=said, place=place)
            text = f"Used: {where}\nLogin Succeeded!" if verbose else "Login Succeeded!"
    value = {"registry": str(target), "username": credentials.username, "stored": where}
    _say(value, text, as_json=as_json)


@options.command("logout")
@click.argument("registry", required=False)
@click.option("-a", "--all", "everything", is_flag=True, help="Forget all registries.")
@_places
@options.as_json
def logout(registry: str | None, *, everything: bool, place: Place, as_json: bool) -> None:
    """Forget the credentials for REGISTRY, which is written as for login."""
    from bundler.images import login as logins  # noqa: PLC0415 - not for --help

    if everything == (registry is not None):
        raise UsageError("give either a registry or --all")
    if registry is None:
        logins.logout_all(run.settings(), place)
        what = "all registries"
    else:
        target = logins.Registry.parse(registry)
        logins.logout(target, run.settings(), place)
        what = str(target)
    _say({"removed": what}, f"Removed login credentials for {what}", as_json=as_json)


def _ask(username: str | None, password: str | None, *, from_stdin: bool) -> Credentials:
    """Complete what the command line says."""
    from bundler.config.settings import Credentials  # noqa: PLC0415 - not for --help

    if from_stdin:
        if password is not None:
            raise UsageError("--password and --password-stdin exclude one another")
        if username is None:
            raise UsageError("--password-stdin needs --username")
        raw = sys.stdin.buffer.read(_MAX_PASSWORD + 1)
        if len(raw) > _MAX_PASSWORD:
            raise UsageError(f"the password is longer than {_MAX_PASSWORD:,} bytes")
        password = os.fsdecode(raw).rstrip("\r\n")
    if username is None:
        username = click.prompt("Username", err=True)
    if password is None:
        password = click.prompt(f"Password of {username}", hide_input=True, err=True)
    return Credentials(username=username, password=password)


def _say(value: dict[str, str | None], text: str, *, as_json: bool) -> None:
    if as_json:
        render.document(value)
    else:
        for line in text.splitlines():
            render.line(line)
