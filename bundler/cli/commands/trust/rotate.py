"""``airbundle trust rotate``: create the draft of the next version of a trust file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bundler.cli.commands.trust import drafts
from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.trusted_keys import open_store
from bundler.errors import ConflictError, NotFoundError, UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@command(
    "rotate",
    "airbundle trust rotate 2.trust.json",
    "airbundle trust rotate 2.trust.json --remove ab12cd34ef567890",
)
@click.argument("draft", type=common.PATH)
@option(
    "--remove",
    "removed",
    multiple=True,
    metavar="ID",
    help="Leave out the key with this ID, which revokes it; 16 digits suffice. May be repeated.",
)
@drafts.thresholds
@drafts.expires
@option(
    "--trust",
    "trust_path",
    type=common.PATH,
    metavar="FILE",
    help="The current version (default: the trust file of the site).",
)
@common.as_json
@pass_context
def rotate(
    context: CommandContext,
    draft: Path,
    *,
    removed: tuple[str, ...],
    thresholds: tuple[str, ...],
    expires: datetime | None,
    trust_path: Path | None,
    as_json: bool,
) -> None:
    """Create DRAFT, the next version of the trust file, or remove keys from it.

    Add keys with `trust add DRAFT`, remove others with --remove, then let the holders of the keys
    sign it with `trust sign DRAFT`: enough of the current version, and enough of the new one.
    `trust update DRAFT` installs it at the exporting site, whose next bundles carry it to all
    others.
    """
    store = open_store(context, trust_path)
    if store is None:
        raise NotFoundError("this site has no trust file", hint="specify one with --trust FILE")
    version = store.content.version + 1
    content = drafts.read(draft) or replace(store.content, version=version)
    if content.version != version:
        raise ConflictError(
            f"{draft}: has another version (expected {version}, got {content.version})",
            path=str(draft),
            hint="choose another file",
        )
    left_out = set()
    for text in removed:
        matching = [key_id for key_id in content.keys if key_id.startswith(text.lower())]
        if len(matching) != 1 or len(text) < 16:
            raise UsageError(
                f"--remove: no key {text[:64]!r} in {draft}"
                + (" (expected at least 16 digits)" if len(text) < 16 else ""),
                hint=f"list the keys with airbundle trust show {store.path}",
            )
        left_out.add(matching[0])
    keys = {key_id: key for key_id, key in content.keys.items() if key_id not in left_out}
    roles = {
        role: replace(entry, keys=tuple(key for key in entry.keys if key not in left_out))
        for role, entry in content.roles.items()
        if set(entry.keys) - left_out
    }
    changed = replace(
        content,
        keys=keys,
        roles=drafts.apply_thresholds(roles, thresholds),
        expires=expires or content.expires,
    )
    drafts.write(draft, changed, as_json=as_json)
