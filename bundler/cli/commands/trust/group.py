"""``airbundle trust``: the commands for trust files."""

from __future__ import annotations

from bundler.cli.options.command import CommandGroup

trust = CommandGroup(
    "trust",
    help="""Show and change the keys that a site trusts.

    A trust file lists keys with roles: `trust` signs the next version of the file, `bundle` signs
    bundles, `receipt` signs receipts. A site installs the first version with its fingerprint, and
    accepts each later one from bundles or from `trust update`, if enough keys signed it.
    """,
    subcommands={
        "init": ("trust.init:init", "Install the first trust file of a site."),
        "show": ("trust.show:show", "Print the keys, their roles, and the fingerprint."),
        "update": ("trust.update:update", "Apply newer versions from a bundle or a file."),
        "add": ("trust.add:add", "Add keys to a draft, or create one."),
        "rotate": ("trust.rotate:rotate", "Create the draft of the next version."),
        "sign": ("trust.sign:sign", "Sign a draft."),
    },
)
