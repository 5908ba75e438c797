"""Seal a bundle: replace the few files that make one of the content that is in place already.

Everything that a seal consists of is computed beforehand, so that the phase in which the directory
holds neither the former bundle nor the new one is a handful of small files long, whatever the
size of the bundle. Content that the new bundle does not list is removed afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundler.bundle.format import checksums, directory, instructions
from bundler.bundle.format import signatures as signing
from bundler.bundle.verifying import image_tree
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import Inventory
    from bundler.trust.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class Seal:
    """The files that make content a bundle, each by its name; in the order of writing."""

    inventory: Inventory
    names: Mapping[str, bytes]
    """``index.json`` where the format has one, ``VERIFY.txt`` and ``SHA256SUMS``."""
    document: bytes
    """``bundle.json``."""
    signatures: Mapping[str, bytes]
    listed: frozenset[str]
    """The paths that ``SHA256SUMS`` lists."""


def prepare(
    bundle: Path,
    inventory: Inventory,
    index: Mapping[str, bytes],
    keys: Sequence[PrivateKey],
) -> Seal:
    """Compute the seal of the content in ``bundle``; writes nothing.

    Args:
        bundle: its directory, which holds all that ``inventory`` needs.
        inventory: what the bundle will consist of; its ``sums`` are replaced.
        index: the files besides the blobs that list the images.
        keys: who signs.

    Raises:
        IntegrityError, NotFoundError, MediumError: content is not as the inventory needs it.
    """
    names = {**index, directory.GUIDE: instructions.render(inventory, keys)}
    paths = _content(bundle, inventory) - set(names)
    listed = checksums.digests(bundle, sorted(paths))
    listed |= {name: Digest.of(data) for name, data in names.items()}
    text = checksums.render(listed)
    inventory = replace(inventory, sums=checksums.describe(text, len(listed)))
    document = inventory.to_bytes()
    return Seal(
        inventory=inventory,
        names={**names, directory.SUMS: text},
        document=document,
        signatures=signing.sign(document, keys),
        listed=frozenset(listed),
    )


def write(bundle: Path, seal: Seal) -> None:
    """Replace the former bundle's seal, the signatures last.

    From the first file to the last, the directory does not verify, or still as the former bundle.

    Raises:
        NoSpaceError, MediumError: one of the files cannot be written.
    """
    for name, data in seal.names.items():
        directory.write_file(bundle, name, data)
    directory.remove_signatures(bundle)
    directory.write_file(bundle, directory.INVENTORY, seal.document)
    for name, data in seal.signatures.items():
        directory.write_file(bundle, name, data)


def prune(bundle: Path, listed: Collection[str]) -> None:
    """Durably remove the content that is not ``listed``; other files stay.

    Raises:
        MediumError: a file cannot be removed.
    """
    directory.remove_files(
        bundle,
        [
            path
            for path in directory.find(bundle).entries
            if path not in listed and directory.is_content(path)
        ],
    )


def _content(bundle: Path, inventory: Inventory) -> set[str]:
    """The paths to list: what the images need, and what is in the bundle for another reason."""
    walked = image_tree.walk(bundle, inventory)
    for error in walked.problems.values():
        raise error
    trees = [tree for _, trees in walked.images for tree in trees]
    needed = {part.path for tree in trees for part in tree.parts}
    if inventory.format == "dir":
        needed |= {directory.version_path(tree.root.digest) for tree in trees}
    return {
        path
        for path in directory.find(bundle).entries
        if directory.is_listed(path) and (path in needed or not directory.is_content(path))
    }
