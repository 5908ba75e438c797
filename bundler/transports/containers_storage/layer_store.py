"""Add and remove the layers of a storage, without exposing incomplete layers.

A layer is unpacked in a temporary directory without any lock. Under the lock, the record is written
with the flag ``incomplete``, the directory is moved to the final path, and the flag is removed.
Every user of a storage removes layers with this flag, so an interrupted run leaves no partial
layer.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.content.archives.tar_split import GzipLines, SplitWriter
from bundler.content.streams import VerifiedReader
from bundler.errors import NotFoundError
from bundler.oci.digest import Digest
from bundler.transports.containers_storage.drivers.apply_diff import DiffApplier
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree
from bundler.transports.containers_storage.metadata import COMPRESSIONS, format_time
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from bundler.content.compression.decompress import Compression
    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.transports.containers_storage.metadata import LayerRecord, RecordTransaction
    from bundler.transports.containers_storage.storage import StagingDirectories, Storage


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer to add."""

    id: str
    parent: str | None
    diff_id: Digest
    blob: Descriptor
    """The blob as it was pushed, possibly compressed."""
    compression: Compression | None


def compute_chain_id(parent: str | None, diff_id: Digest) -> str:
    """Return the ID of the layer ``diff_id`` on ``parent``, as containers/storage computes it."""
    if parent is None:
        return diff_id.hex
    return Digest.of(f"{parent}+{diff_id.hex}".encode()).hex


def add(
    storage: Storage,
    staging: StagingDirectories,
    layer: NewLayer,
    stream: Reader,
    observe: Callable[[int], None],
) -> None:
    """Unpack a layer and publish it, unless another process has published it in the meantime.

    Args:
        storage: contains the parent of the layer.
        staging: the temporary directories of this run.
        layer: the layer's IDs and digests.
        stream: the uncompressed tar, which is read to the end; the caller closes it.
        observe: called with the number of bytes after each chunk; may raise to cancel.

    Raises:
        IntegrityError: the tar does not match ``layer.diff_id``; nothing is stored.
        MalformedError, UnsupportedError, LimitError: the tar cannot be unpacked.
        MediumError, NoSpaceError: the disk failed.
    """
    subject = f"layer {layer.diff_id}"
    staged, split = staging.trees / layer.id, staging.files / f"{layer.id}.split"
    with convert_os_errors(staged, "cannot unpack"):
        staged.mkdir(0o700)
        root = storage.driver.stage(staged, layer.parent)
        content = VerifiedReader(stream, subject, digest=layer.diff_id, size=None, observe=observe)
        with (
            RootedTree.open(root) as tree,
            split.open("wb") as file,
            tempfile.TemporaryFile(dir=staging.files) as scratch,
        ):
            split.chmod(0o600)
            writer = SplitWriter(GzipLines(file))
            applier = DiffApplier(tree, writer, scratch, storage.driver, subject)
            applier.apply(content)
            writer.close()
    record = {
        "id": layer.id,
        "parent": layer.parent,
        "created": format_time(),
        "compressed-diff-digest": layer.blob.digest.text,
        "compressed-size": layer.blob.size,
        "diff-digest": layer.diff_id.text,
        "diff-size": content.position,
        "compression": COMPRESSIONS[layer.compression],
        "uidset": sorted(applier.uids),
        "gidset": sorted(applier.gids),
    }
    record = {key: value for key, value in record.items() if value not in (None, 0, [])}
    _publish(storage, layer, record, staged, split)


def remove_incomplete(storage: Storage) -> None:
    """Remove the layers that interrupted processes left incomplete."""
    if all(layer.complete for layer in storage.layers.read()):
        return
    with storage.layers.edit() as changes:
        remove(storage, changes, [layer.id for layer in changes.records if not layer.complete])


def remove(storage: Storage, changes: RecordTransaction[LayerRecord], ids: Collection[str]) -> None:
    """Remove layers and their records; ``changes`` is the open transaction of the layers."""
    if not ids:
        return
    for layer in changes.records:
        if layer.id in ids:
            layer.value["flags"] = (layer.value.get("flags") or {}) | {"incomplete": True}
    changes.save()
    for layer_id in ids:
        storage.driver.remove(layer_id)
        with convert_os_errors(storage.split_path(layer_id), "cannot remove"):
            storage.split_path(layer_id).unlink(missing_ok=True)
    changes.remove(ids)
    changes.save()


def _publish(
    storage: Storage, layer: NewLayer, record: dict[str, Any], staged: Path, split: Path
) -> None:
    with storage.layers.edit() as changes:
        by_id = {stored.id: stored for stored in changes.records}
        present = by_id.get(layer.id)
        if present is not None and present.complete:
            return
        if layer.parent is not None and layer.parent not in by_id:
            raise NotFoundError(
                f"{storage.subject}: layer {layer.parent} was removed by another process",
                hint="run the command again: it copies the layer again",
            )
        if present is not None:
            remove(storage, changes, [layer.id])
        changes.add(record | {"flags": {"incomplete": True}})
        changes.save()
        storage.driver.publish(staged, layer.id)
        with convert_os_errors(split, "cannot rename"):
            split.replace(storage.split_path(layer.id))
        changes.remove([layer.id])
        changes.add(record)
        changes.save()
