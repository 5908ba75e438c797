"""``airbundle login``: store the credentials for a registry."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, login as login_options
from bundler.cli.options.command import command
from bundler.cli.options.option import GoBoolOption, option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.images.login import CredentialStore


@command("login", "airbundle login --username ward registry.plant:5000")
@click.argument("registry")
@option("-u", "--username", help="User name (default: prompt).")
@option("-p", "--password", help="Password; visible to other users in the process list.")
@option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@option("--get-login", is_flag=True, help="Print the user name of the stored credentials.")
@option(
    "--cert-dir",
    type=common.PATH,
    help="Directory with certificates for the registry: *.crt, *.cert, *.key.",
)
@option(
    "--tls-verify",
    cls=GoBoolOption,
    help="Verify the TLS certificate of the registry (default: from registries.conf).",
)
@option("-v", "--verbose", is_flag=True, help="Print where the credentials are stored.")
@login_options.credential_store
@common.as_json
@pass_context
def login(
    context: CommandContext,
    registry: str,
    *,
    username: str | None,
    password: str | None,
    password_stdin: bool,
    get_login: bool,
    cert_dir: Path | None,
    tls_verify: bool | None,
    verbose: bool,
    store: CredentialStore,
    as_json: bool,
) -> None:
    """Check credentials with REGISTRY and store them.

    REGISTRY is HOST[:PORT], or HOST[:PORT]/NAMESPACE for a part of it. Without --username, the
    stored credentials are checked again; if none exist, user name and password are prompted for.
    """
    from bundler.config.registry_access import RegistryOverride  # noqa: PLC0415 - not for --help
    from bundler.images import login as logins  # noqa: PLC0415 - as above

    target = logins.CredentialScope.parse(registry)
    settings = context.settings
    if get_login:
        user = logins.find_username(target, settings, store)
        login_options.print_result(
            {"registry": str(target), "username": user}, user, as_json=as_json
        )
        return
    override = RegistryOverride(tls_verify=tls_verify, cert_dir=cert_dir)
    stored = logins.read_credentials(target, settings, store)
    renew = username is None and password is None and not password_stdin and not stored.anonymous
    credentials = (
        stored
        if renew
        else login_options.complete_credentials(username, password, from_stdin=password_stdin)
    )
    with context.run() as run:
        verify = functools.partial(logins.ping, cancellation=run.cancellation, emit=run.emit)
        if renew:
            logins.check_credentials(target, credentials, settings, verify, override=override)
            location = None
            message = f"Existing credentials are valid. Already logged in to {target}"
        else:
            location = logins.login(
                target, credentials, settings, verify, override=override, store=store
            )
            message = "Login Succeeded!"
    if verbose and location is not None and not as_json:
        text.print_line(f"Used: {location}")
    value = {"registry": str(target), "username": credentials.username, "stored": location}
    login_options.print_result(value, message, as_json=as_json)
