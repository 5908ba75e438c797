"""Find, publish, untag and delete the images of a storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.errors import (
    AmbiguousImageError,
    ConflictError,
    NoSuchImageError,
    NotFoundError,
    shortlist,
)
from bundler.transports.containers_storage import layer_store, metadata
from bundler.transports.containers_storage.drivers.rooted_tree import remove_tree
from bundler.transports.containers_storage.reference import parse_image_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.transports.containers_storage.metadata import ImageRecord, LayerRecord
    from bundler.transports.containers_storage.reference import ImageName
    from bundler.transports.containers_storage.storage import Storage


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image to publish, whose layers are already stored."""

    id: str
    top_layer: str | None
    created: str | None
    """Creation time from the config, which may be invalid."""
    items: dict[str, bytes]
    names: tuple[str, ...]
    metadata: str
    """Value of ``metadata`` in the record: the sizes of the signatures."""


def find(storage: Storage, name: str | None) -> ImageRecord:
    """Return the image that ``name`` identifies; None identifies the only image.

    An ID or a unique ID prefix takes precedence over a name, and a name over a digest.

    Raises:
        AmbiguousImageError: ``name`` is None, and there are several images or none.
        InvalidReferenceError: ``name`` is neither a name nor an ID.
        NoSuchImageError: no image matches, or the ID prefix is ambiguous.
    """
    images = storage.images.read()
    names = [text for image in images for text in image.names]
    hint = f"{storage.subject} contains {shortlist(names, 10) or 'no named images'}"
    if name is None:
        if len(images) == 1:
            return images[0]
        raise AmbiguousImageError(storage.subject, len(images), hint=hint)
    parsed = parse_image_name(name)
    image_id = parsed.id or parsed.possible_id
    matches = [image for image in images if image_id and image.id.startswith(image_id)]
    if len(matches) == 1 and (parsed.possible_id or _is_in_repository(matches[0], parsed)):
        return matches[0]
    if parsed.reference is not None and parsed.id is None:
        for image in images:
            if str(parsed.reference) in image.names:
                return image
        digest = parsed.reference.digest
        for image in images:
            if digest and digest.text in image.manifests and _is_in_repository(image, parsed):
                return image
    raise NoSuchImageError(storage.subject, str(parsed), hint=hint)


def publish(storage: Storage, images: Sequence[NewImage]) -> None:
    """Publish images and their names, all at once.

    An existing image with the same ID keeps its names and receives the new ones. A name of another
    image is moved; the other image remains, even without a name.

    Raises:
        ConflictError: an image with the same ID and other layers exists.
        NotFoundError: another process removed a layer in the meantime.
        MediumError, NoSpaceError: no name has changed.
    """
    with storage.layers.edit() as layer_changes, storage.images.edit() as changes:
        complete = {layer.id for layer in layer_changes.records if layer.complete}
        for new in images:
            if new.top_layer is not None and new.top_layer not in complete:
                raise NotFoundError(
                    f"{storage.subject}: layer {new.top_layer} was removed by another process",
                    hint="run the command again to copy the layer",
                )
            stored = changes.records
            existing = next((image for image in stored if image.id == new.id), None)
            if existing is not None and existing.top_layer != new.top_layer:
                raise ConflictError(
                    f"{storage.subject}: an image with the ID {new.id} but other layers exists",
                    hint=f"delete it first: airbundle delete containers-storage:@{new.id}",
                )
            if existing is not None:
                record = existing.value
            else:
                record = {"id": new.id}
                if new.top_layer is not None:
                    record["layer"] = new.top_layer
                record["created"] = metadata.format_time(new.created)
            metadata.store_items(storage.images.directory / new.id, record, new.items)
            record["metadata"] = new.metadata
            for image in stored:
                if image is not existing:
                    _set_names(image.value, [name for name in image.names if name not in new.names])
            _set_names(record, dict.fromkeys([*new.names, *(record.get("names") or ())]))
            if existing is None:
                changes.add(record)
        changes.save()


def untag(storage: Storage, name: str) -> None:
    """Remove ``name`` from the image that has it."""
    with storage.images.edit() as changes:
        for image in changes.records:
            _set_names(image.value, [other for other in image.names if other != name])
        changes.save()


def delete(storage: Storage, image_id: str) -> None:
    """Delete an image, and the layers that are no longer used.

    Raises:
        ConflictError: a container uses the image, or it is mounted.
        NotFoundError: the image does not exist.
    """
    with storage.layers.edit() as layer_changes, storage.images.edit() as image_changes:
        images = image_changes.records
        image = next((other for other in images if other.id == image_id), None)
        if image is None:
            raise NoSuchImageError(storage.subject, image_id)
        containers = storage.containers.read()
        users = [value for value in containers if value.get("image") == image.id]
        if users:
            names = users[0].get("names") or [users[0].get("id")]
            more = f" and {len(users) - 1} more" if len(users) > 1 else ""
            raise ConflictError(
                f"{storage.subject}: image {image.id} is used by the container {names[0]}{more}",
                hint=f"remove the container first: podman rm {names[0]}",
            )
        other_images = [other for other in images if other.id != image_id]
        unneeded = _find_unneeded_layers(image, other_images, containers, layer_changes.records)
        if storage.list_mounted_layers() & set(unneeded):
            raise ConflictError(
                f"{storage.subject}: image {image_id} is mounted",
                hint="unmount it first: podman image unmount",
            )
        image_changes.remove([image_id])
        image_changes.save()
        remove_tree(storage.images.directory / image_id)
        layer_store.remove(storage, layer_changes, unneeded)


def _is_in_repository(image: ImageRecord, name: ImageName) -> bool:
    """Return whether ``image`` has a name in the repository of ``name``, or ``name`` is an ID."""
    if name.reference is None:
        return True
    repository = name.reference.repository
    return any(text.startswith((f"{repository}:", f"{repository}@")) for text in image.names)


def _set_names(value: dict[str, Any], names: Iterable[str]) -> None:
    """Set the names in a record, and prepend new ones to its ``names-history``."""
    names = list(names)
    if names == (value.get("names") or []):
        return
    history = dict.fromkeys([*names, *(value.get("names-history") or ())])
    value["names-history"] = list(history)
    if names:
        value["names"] = names
    else:
        value.pop("names", None)


def _find_unneeded_layers(
    image: ImageRecord,
    other_images: Sequence[ImageRecord],
    containers: Sequence[dict[str, Any]],
    layers: Sequence[LayerRecord],
) -> list[str]:
    """Return the layers of ``image`` that no other image, container or layer uses, top first."""
    needed = {other.top_layer for other in other_images}
    needed |= {value.get("layer") for value in containers}
    needed |= {layer for other in other_images for layer in other.mapped_layers}
    by_id = {layer.id: layer for layer in layers}
    children: dict[str | None, set[str]] = {}
    for layer in layers:
        children.setdefault(layer.parent, set()).add(layer.id)
    unneeded: list[str] = []
    for start in (*image.mapped_layers, image.top_layer):
        current = start
        while current in by_id and current not in needed and not children.get(current):
            unneeded.append(current)
            parent = by_id[current].parent
            children[parent].discard(current)
            current = parent
    return unneeded
