"""``airbundle log head``: print the digest of the last entry of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path


@command("head", "airbundle log head --records /var/lib/airbundle")
@records.directory
@common.as_json
@pass_context
def head(context: CommandContext, *, records_path: Path | None, as_json: bool) -> None:
    """Print the head of the log, the digest of its last entry, which stands for the whole log.

    Keep it elsewhere, and pass it to `log verify` later.
    """
    log = records.read_existing(records_path, context.environment).log
    last = None if log.head is None else log.head.text
    if as_json:
        text.print_json({"entries": len(log.entries), "head": last})
    else:
        text.print_line(last or "empty")
