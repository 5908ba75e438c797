"""``airbundle trust add``: add keys to a draft of a trust file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import click

from bundler.cli.commands.trust import drafts
from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from bundler.trust.trust_files.trust_file import Role


@command(
    "add",
    "airbundle trust add 1.trust.json --key alice.pub --role trust --comment 'Alice, board'",
    "airbundle trust add 1.trust.json --key export.pub --role bundle --stream plant-7",
)
@click.argument("draft", type=common.PATH)
@option(
    "--key",
    "key_files",
    multiple=True,
    required=True,
    type=common.PATH,
    metavar="FILE",
    help="Add this public key, or change it. May be repeated.",
)
@option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(["trust", "bundle", "receipt"]),
    help="A role of the key. May be repeated.",
)
@option("--comment", default="", metavar="TEXT", help="The owner or the purpose of the key.")
@option(
    "--stream",
    "streams",
    multiple=True,
    metavar="NAME",
    help="Allow bundles of this stream only. May be repeated (default: all streams).",
)
@option(
    "--not-before",
    type=drafts.START,
    metavar="DATE",
    help="The key signs nothing that was created earlier: a time in UTC, or the start of a day.",
)
@option(
    "--not-after",
    type=drafts.END,
    metavar="DATE",
    help="The key signs nothing that was created later: a time in UTC, or the end of a day.",
)
@drafts.thresholds
@drafts.expires
@common.as_json
@pass_context
def add(
    context: CommandContext,
    draft: Path,
    *,
    key_files: tuple[Path, ...],
    roles: tuple[str, ...],
    comment: str,
    streams: tuple[str, ...],
    not_before: datetime | None,
    not_after: datetime | None,
    thresholds: tuple[str, ...],
    expires: datetime | None,
    as_json: bool,
) -> None:
    """Add keys to DRAFT, or create it as version 1 if it does not exist.

    A key that DRAFT contains gets the given roles and limits in place of its own. Dates and streams
    limit bundles and receipts; a key with the role trust has none. A signed file is not changed.
    """
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography
    from bundler.trust.trust_files.trust_file import RoleKeys, TrustedKey, TrustFile  # noqa: PLC0415 - as above

    if {"bundle", "receipt"} <= set(roles):
        raise UsageError(
            "--role: a key cannot have the roles bundle and receipt: imports refuse its receipts",
            hint="create a key for receipts: airbundle keygen PREFIX",
        )
    limits = {"--stream": streams, "--not-before": not_before, "--not-after": not_after}
    if "trust" in roles and (given := [option for option, value in limits.items() if value]):
        raise UsageError(
            f"{given[0]}: limits bundles and receipts; the role trust has no limits",
            hint="create a key of its own for bundles (airbundle keygen PREFIX); the role trust of"
            " a key ends with its removal (airbundle trust rotate DRAFT --remove KEY)",
        )
    content = drafts.read(draft) or TrustFile(1, {}, {})
    added = {}
    for path in key_files:
        public = keys.read_public_key(path)
        added[public.id] = TrustedKey(public, comment, not_before, not_after, streams or None)
    entries: dict[Role, RoleKeys] = {}
    for role in cast("tuple[Role, ...]", ("trust", "bundle", "receipt")):
        former = content.roles.get(role, RoleKeys(()))
        names = [key_id for key_id in former.keys if key_id not in added]
        names += added if role in roles else ()
        if names:
            entries[role] = replace(former, keys=tuple(names))
    changed = replace(
        content,
        keys={**content.keys, **added},
        roles=drafts.apply_thresholds(entries, thresholds),
        expires=expires or content.expires,
    )
    for role, former in content.roles.items():
        for key_id in former.keys:
            if key_id in added and role not in roles and not context.options.quiet:
                text.print_note(
                    f"{draft}: key {content.keys[key_id].label} no longer has the role {role};"
                    f" to keep it, run the command again with --role {role} too"
                )
    drafts.write(draft, changed, as_json=as_json)
