"""``airbundle logout``: remove the stored credentials for a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.login import credential_store
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.images.login import CredentialStore


@command("logout", "airbundle logout registry.plant:5000")
@click.argument("registry", required=False)
@option(
    "-a", "--all", "everything", is_flag=True, help="Remove the credentials for all registries."
)
@credential_store
@common.as_json
@pass_context
def logout(
    context: CommandContext,
    registry: str | None,
    *,
    everything: bool,
    store: CredentialStore,
    as_json: bool,
) -> None:
    """Remove the stored credentials for REGISTRY, specified as for login.

    A token service that was specified at the login is not trusted any longer.
    """
    from bundler.images import login as logins  # noqa: PLC0415 - not for --help

    if everything == (registry is not None):
        raise UsageError("expected either REGISTRY or --all")
    if registry is None:
        logins.logout_all(context.settings, store)
        subject = "all registries"
    else:
        target = logins.CredentialScope.parse(registry)
        logins.logout(target, context.settings, store)
        subject = str(target)
    if as_json:
        text.print_json({"removed": subject})
    else:
        text.print_line(f"Removed login credentials for {subject}")
