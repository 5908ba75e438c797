"""The blobs that the target of an export already has, from the holdings files of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.holdings import holdings_file
from bundler.cli.options.option import refuse_conflicts
from bundler.cli.output import text
from bundler.cli.runtime.trusted_keys import read_receipt_keys
from bundler.errors import UnauthenticatedError, UsageError
from bundler.oci.json.timestamps import format_to_minute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.cli.options.have import HaveOptions
    from bundler.cli.runtime.context import CommandContext
    from bundler.oci.digest import Digest


def read_held_blobs(
    context: CommandContext, options: HaveOptions, stream: str
) -> Mapping[Digest, HeldBlob]:
    """Read the holdings files for a bundle of ``stream``, and print what each one describes.

    Raises:
        UsageError: there is no key to verify them with, and unsigned files are not allowed.
        TrustError: a file is not signed as required.
        BundlerError: a file cannot be read, or is not valid.
    """
    refuse_conflicts(
        {"--have-key": options.key_files, "--allow-unsigned-have": options.allow_unsigned}
    )
    keys, threshold = None, 1
    if not options.allow_unsigned:
        found = read_receipt_keys(context, options.key_files, None)
        if found is None:
            raise UsageError(
                "--have: no key to verify the holdings file with",
                hint="add --have-key FILE.pub, or --allow-unsigned-have",
            )
        keys, threshold = found.keys, found.threshold
    lists = []
    for path in options.files:
        try:
            content, _ = holdings_file.read(path, keys, stream, threshold)
        except UnauthenticatedError as error:
            error.hint = f"{error.hint}; or use it unverified with --allow-unsigned-have"
            raise
        lists.append(content.blobs)
        if not context.options.quiet:
            text.print_note(
                f"{path}: {text.count(len(content.blobs), 'layer')} at"
                f" {', '.join(content.targets)}, as of {format_to_minute(content.created)}"
            )
            for item in content.covers:
                if not item.complete:
                    text.print_note(
                        f"{path}: read {item.describe()} at {item.target}, which may have more"
                    )
    return holdings_file.merge(lists)
