"""Copy from the former archive what the new one has in common with it, instead of transferring it.

The former archive is only read: it is replaced when the new one is complete.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format.archive.layout import find_path
from bundler.bundle.format.bundle_source import BundleSource
from bundler.bundle.format.reading.open_files import open_files
from bundler.cancel import Cancellation
from bundler.copy.blob_transfer import push_blob
from bundler.copy.parallel import run_all
from bundler.errors import BundlerError, CancelledError, NoSpaceError, count
from bundler.events import Notice, discard

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bundler.bundle.format.archive.destination import ArchiveDestination
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.oci.digest import Digest
    from bundler.ports import Node


def copy_blobs(
    archive: Path,
    former: AuthenticatedBundle,
    destination: ArchiveDestination,
    images: Iterable[ResolvedImage],
    engine: EngineOptions,
) -> None:
    """Copy the blobs of ``images`` that ``archive``, the ``former`` bundle, has.

    Each is compared with its digest. One that is damaged is left to be transferred.

    Raises:
        NoSpaceError: there is no room for the new archive.
        CancelledError: the export was cancelled.
    """
    nodes: dict[Digest, Node] = {}
    for image in images:
        for graph in image.graphs:
            nodes |= {node.digest: node for node in graph.blobs if node.digest is not None}
    own = Cancellation(engine.cancellation)
    with open_files(archive) as files:
        source = BundleSource(files, former.inventory)
        found = [
            node
            for digest, node in nodes.items()
            if digest in destination.layout.places
            and files.get_size(find_path(digest)) == node.size
        ]
        if found:
            blobs = count(len(found), "blob")
            engine.emit(Notice(f"{archive}: copying {blobs} from the former archive"))

        def copy(node: Node) -> None:
            try:
                push_blob(node, source, destination, own, discard)
            except (CancelledError, NoSpaceError):
                raise
            except BundlerError:
                return  # it is transferred from its origin

        run_all(engine.executor, [partial(copy, node) for node in found], own)
