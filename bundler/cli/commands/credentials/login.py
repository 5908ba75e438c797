"""``airbundle login``: keep the credentials for a registry."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from bundler.cli.frontends import frontend
from bundler.cli.options import common
from bundler.cli.options import login as accounts
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.images.login import CredentialStore


@common.command("login", "airbundle login --username ward registry.plant:5000")
@click.argument("registry")
@click.option("-u", "--username", help="The user's name; asked for if not given.")
@click.option("-p", "--password", help="The password; others see it in the list of processes.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--get-login", is_flag=True, help="Print the user that is logged in.")
@click.option(
    "--cert-dir",
    type=common.PATH,
    help="Directory with *.crt, *.cert and *.key for the registry.",
)
@click.option(
    "--tls-verify", cls=common.GoBoolOption, help="Whether the registry must prove itself."
)
@click.option("-v", "--verbose", is_flag=True, help="Say where the credentials are kept.")
@accounts.place
@common.as_json
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
    place: CredentialStore,
    as_json: bool,
) -> None:
    """Check credentials with REGISTRY and keep them.

    REGISTRY is HOST[:PORT], or HOST[:PORT]/NAMESPACE for a part of it. Without --username, what is
    kept already is checked anew; if nothing is, name and password are asked for.
    """
    from bundler.config.registry_access import RegistryOverride  # noqa: PLC0415 - not for --help
    from bundler.images import login as logins  # noqa: PLC0415 - as above

    target = logins.Registry.parse(registry)
    settings = context.settings()
    if get_login:
        user = logins.find_username(target, settings, place)
        accounts.say({"registry": str(target), "username": user}, user, as_json=as_json)
        return
    said = RegistryOverride(tls_verify=tls_verify, cert_dir=cert_dir)
    kept = logins.read_credentials(target, settings, place)
    renew = username is None and password is None and not password_stdin and not kept.anonymous
    credentials = kept if renew else accounts.ask(username, password, from_stdin=password_stdin)
    with context.running() as work:
        verify = functools.partial(logins.ping, cancellation=work.cancellation, emit=work.emit)
        frontend.current().logging_in(str(target), again=renew)
        if renew:
            logins.check_credentials(target, credentials, settings, verify, override=said)
            where, text = None, f"Existing credentials are valid. Already logged in to {target}"
        else:
            where = logins.login(target, credentials, settings, verify, override=said, store=place)
            text = "Login Succeeded!"
    if verbose and where is not None and not as_json:
        frontend.current().kept(where)
    value = {"registry": str(target), "username": credentials.username, "stored": where}
    accounts.say(value, text, as_json=as_json)
