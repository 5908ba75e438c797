"""Publish images in a storage under their names, and take names and images away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import Directory
from bundler.errors import ConflictError, NoSuchImageError, NotFoundError
from bundler.transports.containers_storage import layer_store
from bundler.transports.containers_storage import metadata as records
from bundler.transports.containers_storage import storage as store
from bundler.transports.containers_storage.drivers.rooted_tree import remove_tree
from bundler.transports.containers_storage.metadata import ImageRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.transports.containers_storage.metadata import LayerRecord
    from bundler.transports.containers_storage.storage import Storage


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to publish."""

    id: str
    top_layer: str | None
    created: str | None
    """When it was made, as its config says."""
    items: dict[str, bytes]
    names: tuple[str, ...]
    metadata: str
    """What its record says of its signatures."""


def publish(storage: Storage, images: Sequence[NewImage]) -> None:
    """Let names stand for images, all at once; an image that is there gets them in addition.

    A name that another image had moves to this one; that image stays, maybe without a name.

    Raises:
        ConflictError: an image of that id is there, and consists of other layers.
        NotFoundError: a layer was removed meanwhile.
        MediumError, NoSpaceError: no name has changed.
    """
    what = str(storage.images.folder)
    with storage.layers.changing() as layer_changes, storage.images.changing() as changes:
        listed = store.layer_records(layer_changes.values, storage.what)
        present = {layer.id for layer in listed if layer.complete}
        for new in images:
            if new.top_layer is not None and new.top_layer not in present:
                raise NotFoundError(f"{storage.what}: layer {new.top_layer} was removed meanwhile")
            known = {str(value.get("id")): value for value in changes.values}
            value = known.get(new.id)
            if value is not None and ImageRecord.of(value, what).top_layer != new.top_layer:
                raise ConflictError(
                    f"{storage.what}: an image {new.id} with other layers is there",
                    hint=f"remove it first: airbundle delete containers-storage:@{new.id}",
                )
            records.write_items(storage.images.folder, new.id, new.items)
            fresh = value is None
            made = records.with_items(
                value or records.new_image(new.id, new.top_layer, new.created), new.items
            )
            made["metadata"] = new.metadata
            for other in changes.values:
                _rename(other, [one for one in other.get("names") or () if one not in new.names])
            _rename(made, dict.fromkeys([*new.names, *(made.get("names") or ())]))
            if fresh:
                changes.add(made)
            elif value is not None:
                value.update(made)
        changes.save()


def untag(storage: Storage, name: str) -> None:
    """Take ``name`` away from whatever image has it."""
    with storage.images.changing() as changes:
        for value in changes.values:
            _rename(value, [one for one in value.get("names") or () if one != name])
        changes.save()


def delete(storage: Storage, image_id: str) -> None:
    """Remove an image, and the layers that nothing else needs.

    Raises:
        ConflictError: a container needs it, or it is mounted.
        NotFoundError: it is not there.
    """
    with storage.layers.changing() as layer_changes, storage.images.changing() as image_changes:
        images = [ImageRecord.of(value, storage.what) for value in image_changes.values]
        image = next((one for one in images if one.id == image_id), None)
        if image is None:
            raise NoSuchImageError(storage.what, image_id)
        containers = storage.containers.read()
        _refuse_used(storage, image, containers)
        others = [one for one in images if one.id != image_id]
        listed = store.layer_records(layer_changes.values, storage.what)
        unneeded = _unneeded(image, others, containers, listed)
        if storage.mounted() & set(unneeded):
            raise ConflictError(
                f"{storage.what}: image {image_id} is mounted",
                hint="unmount it first: podman image unmount",
            )
        image_changes.drop([image_id])
        image_changes.save()
        try:
            with Directory.open(storage.images.folder) as folder:
                remove_tree(image_id, folder.fd)
        except OSError as error:
            raise explained(error, storage.images.folder / image_id, "cannot remove") from error
        layer_store.remove(storage, layer_changes, unneeded)


def _rename(value: dict[str, Any], names: Iterable[str]) -> None:
    """Give a record its names; those it ever had are remembered, the latest first."""
    names = list(names)
    if names == (value.get("names") or []):
        return
    history = dict.fromkeys([*names, *(value.get("names-history") or ())])
    value["names-history"] = list(history)
    if names:
        value["names"] = names
    else:
        value.pop("names", None)


def _refuse_used(
    storage: Storage, image: ImageRecord, containers: Sequence[dict[str, Any]]
) -> None:
    users = [value for value in containers if value.get("image") == image.id]
    if users:
        names = users[0].get("names") or [users[0].get("id")]
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        raise ConflictError(
            f"{storage.what}: image {image.id} is used by the container {names[0]}{more}",
            hint=f"remove the container first: podman rm {names[0]}",
        )


def _unneeded(
    image: ImageRecord,
    others: Sequence[ImageRecord],
    containers: Sequence[dict[str, Any]],
    listed: Sequence[LayerRecord],
) -> list[str]:
    """The image's layers that nothing else is made of, the topmost first."""
    needed = {one.top_layer for one in others} | {value.get("layer") for value in containers}
    needed |= {mapped for one in others for mapped in one.mapped_layers}
    by_id = {layer.id: layer for layer in listed}
    children: dict[str | None, set[str]] = {}
    for layer in listed:
        children.setdefault(layer.parent, set()).add(layer.id)
    gone: list[str] = []
    for start in (*image.mapped_layers, image.top_layer):
        current = start
        while current in by_id and current not in needed and not children.get(current):
            gone.append(current)
            parent = by_id[current].parent
            children[parent].discard(current)
            current = parent
    return gone
