"""Seal a bundle: write the small files that make the content of its directory a bundle.

All of these files are computed before the first one is replaced. The directory is without a valid
bundle only while they are written, and that time does not depend on the size of the bundle.
Content that the new bundle does not list is removed afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.format import checksums, directory, signatures, store

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import ChecksumFile, Format, Inventory
    from bundler.copy.image import ResolvedImage
    from bundler.trust.keys import PrivateKey


@dataclass(frozen=True, slots=True)
class Seal:
    """The files to write before ``bundle.json``, by name and in this order."""

    files: Mapping[str, bytes]
    """``index.json`` in format ``oci``, ``VERIFY.txt`` and ``SHA256SUMS``."""
    sums: ChecksumFile
    """The description of ``SHA256SUMS`` in the inventory."""
    listed: frozenset[str]
    """The paths that ``SHA256SUMS`` lists."""


def prepare(
    bundle: Path,
    bundle_format: Format,
    images: Sequence[ResolvedImage],
    index: Mapping[str, bytes],
    instructions_text: bytes,
) -> Seal:
    """Compute the files of the seal, without writing them.

    Args:
        bundle: the directory, which contains all content of ``images``.
        bundle_format: the format of the bundle.
        images: the images of the bundle, as they were resolved.
        index: the files that list the images for other tools, by name.
        instructions_text: the content of ``VERIFY.txt``.

    Raises:
        IntegrityError, NotFoundError, MediumError: a file is unreadable.
    """
    needed = {
        path
        for image in images
        for graph in image.graphs
        for path in store.list_paths(graph, bundle_format)
    }
    files = {**index, directory.GUIDE: instructions_text}
    paths = {
        path
        for path in directory.scan(bundle).entries
        if path not in files
        and directory.is_listed(path)
        and (path in needed or not directory.is_content(path))
    }
    raw, sums = checksums.create(bundle, sorted(paths), files)
    return Seal({**files, directory.SUMS: raw}, sums, frozenset(paths | set(files)))


def write(
    bundle: Path, seal: Seal, inventory: Inventory, keys: Sequence[PrivateKey]
) -> tuple[str, ...]:
    """Replace the former seal, the signatures last; return the names of the signature files.

    Until the last file is written, the directory verifies as the former bundle or not at all.

    Raises:
        NoSpaceError, MediumError: one of the files cannot be written.
    """
    raw = inventory.to_bytes()
    signed = signatures.sign(raw, keys)
    for name, data in seal.files.items():
        directory.write_file(bundle, name, data)
    directory.remove_signatures(bundle)
    directory.write_file(bundle, directory.INVENTORY, raw)
    for name, data in signed.items():
        directory.write_file(bundle, name, data)
    return tuple(signed)


def prune(bundle: Path, listed: Collection[str]) -> None:
    """Durably remove the content that is not ``listed``; other files stay.

    Raises:
        MediumError: a file cannot be removed.
    """
    paths = directory.scan(bundle).entries
    unlisted = [path for path in paths if path not in listed and directory.is_content(path)]
    directory.remove_files(bundle, unlisted)
