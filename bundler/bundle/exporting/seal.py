"""Seal a bundle: write the small files that make the content of its directory a bundle.

All of these files are computed before the first one is replaced. The directory is without a valid
bundle only while they are written, and that time does not depend on the size of the bundle.
Content that the new bundle does not list is removed afterwards.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler import __version__
from bundler.bundle.format import (
    bundle_paths,
    checksums,
    instructions,
    inventory,
    signatures as signing,
    store,
)
from bundler.bundle.format.inventory import Inventory, Producer
from bundler.content.files import part_files

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.inventory import BundledImage
    from bundler.copy.image import ResolvedImage


def replace_seal(
    request: ExportRequest,
    images: Sequence[tuple[BundledImage, ResolvedImage]],
    index: Mapping[str, bytes],
    previous_serial: int | None,
    *,
    complete: bool,
) -> tuple[Inventory, tuple[str, ...]]:
    """Replace the seal of the former bundle, the signatures last, and prune the directory.

    Until the last file is written, the directory verifies as the former bundle or not at all.
    The content of ``images`` is in the directory; ``index`` contains the files that list them, by
    name. The new serial is larger than ``previous_serial``.

    Returns:
        The inventory, and the names of the signature files.

    Raises:
        NotFoundError, IntegrityError: a file to list is missing, or is not a regular file.
        NoSpaceError, MediumError: a file cannot be read or written.
    """
    bundle, listed = request.bundle, tuple(image for image, _ in images)
    keys = [key.public for key in request.keys]
    files = {
        **index,
        bundle_paths.INSTRUCTIONS: instructions.render(
            request.stream, request.format, listed, keys
        ),
    }
    graphs = [graph for _, image in images for graph in image.graphs]
    needed = {path for graph in graphs for path in store.list_paths(graph, request.format)}
    paths = {
        path
        for path in bundle_paths.scan(bundle).entries
        if path not in files
        and bundle_paths.is_listed(path)
        and (path in needed or not bundle_paths.is_content(path))
    }
    files[bundle_paths.CHECKSUM_FILE], checksum_file = checksums.create(
        bundle, sorted(paths), files
    )
    created = datetime.now(UTC).replace(microsecond=0)
    contents = Inventory(
        format=request.format,
        stream=request.stream,
        serial=inventory.create_serial(previous_serial, created),
        created=created,
        tool=Producer("airbundle", __version__),
        checksum_file=checksum_file,
        images=listed,
        expires=None if request.expires is None else created + request.expires,
        complete=complete,
    )
    raw = contents.to_bytes()
    signatures = signing.sign(raw, request.keys)
    for name, data in files.items():
        bundle_paths.write_file(bundle, name, data)
    bundle_paths.remove_signatures(bundle)
    for name, data in {bundle_paths.INVENTORY: raw, **signatures}.items():
        bundle_paths.write_file(bundle, name, data)
    prune(bundle, paths | files.keys(), keep_parts=not complete)
    return contents, tuple(signatures)


def prune(bundle: Path, listed: Collection[str], *, keep_parts: bool = False) -> None:
    """Durably remove the content that is not ``listed``; other files stay.

    With ``keep_parts``, the parts of blobs that the next export continues stay too.

    Raises:
        MediumError: a file cannot be removed.
    """
    paths = bundle_paths.scan(bundle).entries
    unlisted = [
        path
        for path in paths
        if path not in listed
        and bundle_paths.is_content(path)
        and not (keep_parts and part_files.is_kept(path.rpartition("/")[2]))
    ]
    bundle_paths.remove_files(bundle, unlisted)
