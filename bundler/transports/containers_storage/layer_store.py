"""Add layers to a storage, and take them away: nobody ever sees half of one.

A layer is unpacked in a directory of this run without any lock. Under the lock it is only moved to
its place: first it is listed as incomplete, which every user of the storage removes who finds it
so, and last as what it is.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.content.archives.tar_split import SplitWriter
from bundler.content.files.os_errors import explained
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import NotFoundError
from bundler.oci.digest import Digest
from bundler.transports.containers_storage import storage as store
from bundler.transports.containers_storage.drivers.apply_diff import OwnerIds, unpack
from bundler.transports.containers_storage.drivers.rooted_tree import Tree
from bundler.transports.containers_storage.metadata import COMPRESSIONS, LayerRecord, now

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from bundler.content.compression.decompress import Compression
    from bundler.content.streams.reader import Reader
    from bundler.transports.containers_storage.metadata import RecordTransaction
    from bundler.transports.containers_storage.storage import Staging, Storage


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer to add; ``diff_id`` is what its tar must be."""

    id: str
    parent: str | None
    diff_id: Digest
    blob: Digest
    """Of the bytes it came as, which may be compressed."""
    blob_size: int
    compression: Compression | None


def chain_id(parent: str | None, diff_id: Digest) -> str:
    """The id of a layer that holds ``diff_id`` on ``parent``, as all tools compute it."""
    if parent is None:
        return diff_id.hex
    return Digest.of(f"{parent}+{diff_id.hex}".encode()).hex


def add(
    storage: Storage,
    staging: Staging,
    layer: NewLayer,
    stream: Reader,
    observe: Callable[[int], None],
) -> None:
    """Unpack the uncompressed tar in ``stream`` as ``layer``, unless others were faster.

    Args:
        storage: where to.
        staging: the directories of this run in the storage.
        layer: what it is; its parent must be there.
        stream: read to its end; its owner closes it.
        observe: is told the number of bytes after each piece, and may raise to stop.

    Raises:
        IntegrityError: it is not ``layer.diff_id``, or no layer; nothing of it stays.
        MediumError, NoSpaceError: the disk fails.
    """
    what = f"layer {layer.diff_id}"
    staged, split = staging.trees / layer.id, staging.files / f"{layer.id}.split"
    try:
        staged.mkdir(0o700)
        root = storage.driver.stage(staged, layer.parent)
        content = VerifiedReader(stream, what, digest=layer.diff_id, size=None, observe=observe)
        with Tree.open(root) as tree, split.open("wb") as file:
            split.chmod(0o600)
            writer = SplitWriter(file)
            owners = unpack(
                content, tree, writer, storage.driver.removals, what, in_userns=storage.in_userns
            )
            writer.close()
    except OSError as error:
        raise explained(error, staged, "cannot unpack here") from error
    value = _record(layer, content.position, owners)
    _publish(storage, layer, value, staged, split)


def clean_up(storage: Storage) -> None:
    """Remove the layers that somebody began and never finished."""
    what = str(storage.layers.folder)
    if all(layer.complete for layer in store.layer_records(storage.layers.read(), what)):
        return
    with storage.layers.changing() as changes:
        left = [one for one in store.layer_records(changes.values, what) if not one.complete]
        remove(storage, changes, [layer.id for layer in left])


def remove(storage: Storage, changes: RecordTransaction, ids: Collection[str]) -> None:
    """Remove layers that nobody needs; ``changes`` are those of the layers' list."""
    if not ids:
        return
    for value in changes.values:
        if value.get("id") in ids:
            value["flags"] = (value.get("flags") or {}) | {"incomplete": True}
    changes.save()
    for layer in ids:
        storage.driver.remove(layer)
        with suppress(FileNotFoundError):
            storage.split_path(layer).unlink()
    changes.drop(ids)
    changes.save()


def _record(layer: NewLayer, size: int, owners: OwnerIds) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": layer.id,
        "parent": layer.parent,
        "created": now(),
        "compressed-diff-digest": layer.blob.text,
        "compressed-size": layer.blob_size,
        "diff-digest": layer.diff_id.text,
        "diff-size": size,
        "compression": COMPRESSIONS[layer.compression],
        "uidset": sorted(owners.uids),
        "gidset": sorted(owners.gids),
    }
    return {key: member for key, member in value.items() if member not in (None, 0, [])}


def _publish(
    storage: Storage, layer: NewLayer, value: dict[str, Any], staged: Path, split: Path
) -> None:
    with storage.layers.changing() as changes:
        known = {
            one.id: one for one in store.layer_records(changes.values, str(storage.layers.folder))
        }
        present: LayerRecord | None = known.get(layer.id)
        if present is not None and present.complete:
            return
        if layer.parent is not None and layer.parent not in known:
            raise NotFoundError(
                f"{storage.what}: layer {layer.parent} was removed meanwhile",
                hint="run it again: it is copied anew then",
            )
        if present is not None:
            remove(storage, changes, [layer.id])
        changes.add(value | {"flags": {"incomplete": True}})
        changes.save()
        storage.driver.publish(staged, layer.id)
        try:
            split.replace(storage.split_path(layer.id))
        except OSError as error:
            raise explained(error, split, "cannot move this file") from error
        changes.drop([layer.id])
        changes.add(value)
        changes.save()
