"""``airbundle log``: the commands for the log of a site."""

from __future__ import annotations

from bundler.cli.options.command import CommandGroup

log = CommandGroup(
    "log",
    help="""Show, search and verify the log of imports and audits of this site.

    Each entry contains the digest of the entry before it, and that of its evidence: the inventory
    of the bundle, its signatures, lists of packages, claims and verdicts. The head is the digest of
    the last entry: keep it elsewhere, and pass it to `log verify` later.
    """,
    subcommands={
        "show": ("log.show:show", "List imports, audits and changes."),
        "find": ("log.find:find", "Find imports and audits by what they brought in."),
        "head": ("log.head:head", "Print the digest of the last entry."),
        "verify": ("log.verify:verify", "Check the log, the receipts and the evidence."),
    },
)
