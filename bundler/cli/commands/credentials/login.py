"""``airbundle login``: store the credentials for a registry."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.login import complete_credentials, credential_store, run_login
from bundler.cli.options.option import GoBoolOption, option, refuse_conflicts
from bundler.cli.options.registry_access import ask_for_password
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.prompts import prompt
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.images.login import CredentialStore

_URL = re.compile(r"https?://[^/@?#\s]+[^?#\s]*")


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
@option(
    "--token-service",
    metavar="URL",
    help="URL of the token service of the registry, if it is in another domain. It may receive the "
    "credentials now and in later commands.",
)
@option("-v", "--verbose", is_flag=True, help="Print where the credentials are stored.")
@credential_store
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
    token_service: str | None,
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

    scope, settings = logins.CredentialScope.parse(registry), context.settings
    if get_login:
        name = logins.find_username(scope, settings, store)
        if as_json:
            text.print_json({"registry": str(scope), "username": name})
        else:
            text.print_line(name)
        return
    refuse_conflicts({"--password": password, "--password-stdin": password_stdin})
    if password_stdin and username is None:
        raise UsageError("--password-stdin needs --username")
    if token_service is not None and not _URL.fullmatch(token_service):
        raise UsageError(f"--token-service: {token_service[:80]!r}: expected https://HOST/PATH")
    override = RegistryOverride(
        tls_verify=tls_verify, cert_dir=cert_dir, token_service=token_service
    )
    stored = logins.read_credentials(scope, settings, store)
    credentials = complete_credentials(
        stored,
        username,
        password,
        from_stdin=password_stdin,
        ask_username=lambda: prompt("Username"),
        ask_password=partial(ask_for_password, hint="use --password-stdin"),
    )
    location = run_login(context, scope, credentials, stored=stored, override=override, store=store)
    if as_json:
        user = (credentials or stored).username
        text.print_json({"registry": str(scope), "username": user, "stored": location})
        return
    if verbose and location is not None:
        text.print_line(f"Used: {location}")
    done = f"Existing credentials are valid. Already logged in to {scope}"
    text.print_line("Login Succeeded!" if credentials else done)
