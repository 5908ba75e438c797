"""Notes on the signatures of a bundle after an export: the removed ones, and the missing ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.authenticate import authenticate
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.format.reading.open_files import open_files
from bundler.cli.output import text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.trust.trust_files.trust_store import TrustStore


def print_removed(names: Sequence[str], store: TrustStore | None) -> None:
    """Print the signatures of the former bundle, by file name, that the new one does not have."""
    known = () if store is None else store.content.keys.values()
    labels = {key.public.id[:16]: key.label for key in known}
    for name in names:
        digits = bundle_paths.parse_signature_name(name) or name
        reason = "the inventory is a new one, which this holder has to sign with airbundle sign"
        if labels and digits not in labels:
            reason = "the trust file does not contain this key"
        text.print_note(f"no longer signed by {labels.get(digits, digits)}: {reason}")


def print_missing(bundle: Path, store: TrustStore) -> None:
    """Print a note if the trust file requires more signatures than ``bundle`` has.

    Raises:
        BundlerError: the bundle that was just written cannot be read.
    """
    with open_files(bundle) as files:
        found = authenticate(files, store)
    contents = parse_inventory(found.raw)
    unfit = store.find_unfit(found.signers, contents.stream, contents.created)
    number = len(found.signers) - len(unfit)
    if number < store.threshold:
        required = text.count(store.threshold, "key")
        text.print_note(
            f"{store.path}: sites require signatures by {required} (this bundle has {number}):"
            " let the other holders sign it with airbundle sign"
        )
