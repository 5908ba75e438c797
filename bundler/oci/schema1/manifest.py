"""Docker image manifests of schema 1: no config, no sizes, one history entry for each layer.

The ``v1Compatibility`` member of an entry is a JSON document in a string that describes the layer;
the topmost one is the image config. The manifest lists its entries from top to bottom; this module
orders them from bottom to top.

    parse(raw) ──▶ Schema1 ──to_config(…, diff_ids)──▶ a config of schema 2
    from_config(config of schema 2, …) ──▶ an unsigned manifest

Signatures are made with unknown keys and are not verified. They are read only to find the signed
content, because a registry identifies the manifest by the digest of that content.

https://distribution.github.io/distribution/spec/manifest-v2-1/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bundler.errors import CannotConvertError, MalformedError
from bundler.gocompat import json_encoding, values
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.json.table import Table
from bundler.oci.manifest import Schema1, Schema1Entry, compute_manifest_digest
from bundler.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LAYERS = 10_000

EMPTY_LAYER = bytes.fromhex("1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000")
"""The empty tar archive, gzipped, that Docker uses for layers without changes."""
EMPTY_LAYER_DIGEST = Digest(
    "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"
)

_ID = re.compile(r"[a-f0-9]{64}")
_KNOWN = ("id", "parent", "throwaway", "created", "comment", "author", "container_config")
_NOT_IN_CONFIG = ("id", "parent", "parent_id", "layer_id", "throwaway", "Size")
_ZERO_TIME = "0001-01-01T00:00:00Z"
_FIRST_COMPLETE_VERSION = (1, 8, 3)


def parse(raw: bytes, media_type: str, *, subject: str) -> Schema1:
    """Parse a schema 1 manifest, which the caller has verified.

    Raises:
        LimitError: the manifest is larger, deeper or has more layers than allowed.
        MalformedError: it is not a schema 1 manifest, or its signatures cannot be parsed.
    """
    table = Table.parse(raw, subject)
    if table.integer("schemaVersion", 0) != 1:
        raise table.problem("schemaVersion is not 1")
    layers, history = table.tables("fsLayers", MAX_LAYERS), table.tables("history", MAX_LAYERS)
    if len(layers) != len(history):
        raise table.problem(f"history has {len(history)} entries (expected {len(layers)})")
    if not layers:
        raise table.problem("fsLayers is empty")
    entries = tuple(map(_read_entry, reversed(layers), reversed(history)))
    return Schema1(
        raw,
        media_type,
        compute_manifest_digest(raw, subject=subject),
        table.optional_text("name") or "",
        table.optional_text("tag") or "",
        table.optional_text("architecture") or "",
        tuple(entry.blob for entry in entries),
        _link_entries(entries, subject),
    )


def read_platform(manifest: Schema1, *, subject: str) -> Platform:
    """Return the platform according to the topmost history entry and the manifest.

    Raises:
        MalformedError: the entry is not a JSON object.
    """
    top = strict.load_object(manifest.entries[-1].v1.encode(), subject=subject)
    return Platform.from_json(Table(top | {"architecture": manifest.architecture}, subject))


def to_config(manifest: Schema1, diff_ids: Sequence[Digest], *, subject: str) -> bytes:
    """Create the schema 2 config of an image, as containers/image does.

    Docker before 1.8.3 omitted empty members of the config; they are added.

    Args:
        manifest: the image.
        diff_ids: the digests of its uncompressed ``layers``, from bottom to top.
        subject: the image's name in messages.

    Raises:
        CannotConvertError: the number of ``diff_ids`` is wrong.
        MalformedError: the topmost entry does not describe an image.
    """
    if len(diff_ids) != len(manifest.layers):
        raise CannotConvertError(
            f"{subject} cannot be converted to schema 2",
            reason="wrong number of diff IDs"
            f" (expected {len(manifest.layers)}, got {len(diff_ids)})",
        )
    raw = manifest.entries[-1].v1.encode()
    table = Table.parse(raw, subject)
    version = table.optional_text("docker_version")
    numbers = re.findall(r"\d{1,9}", (version or "").partition("-")[0])
    if version is not None and tuple(map(int, numbers)) < _FIRST_COMPLETE_VERSION:
        from bundler.oci.go_structs import read_docker_image  # noqa: PLC0415 - for old images only

        raw = json_encoding.dumps(values.to_plain(read_docker_image(table)))
    members = json_encoding.split(raw)
    for key in _NOT_IN_CONFIG:
        members.pop(key, None)
    rootfs: dict[str, Any] = {"type": "layers"}
    if diff_ids:
        rootfs["diff_ids"] = [digest.text for digest in diff_ids]
    history = [dict(entry.history) for entry in manifest.entries]
    members["rootfs"] = json_encoding.dumps(rootfs).decode()
    members["history"] = json_encoding.dumps(history).decode()
    return json_encoding.join(members)


def from_config(
    config: bytes, layers: Sequence[Digest], *, name: str, tag: str, subject: str
) -> bytes:
    """Create the unsigned schema 1 manifest of an image with a schema 2 config.

    History entries without a layer refer to ``EMPTY_LAYER``.

    Args:
        config: the image's config.
        layers: the digests of its layers, gzipped or uncompressed, from bottom to top.
        name: the path of the repository without a host; may be empty.
        tag: the tag; may be empty.
        subject: the image's name in messages.

    Raises:
        CannotConvertError: the history does not match the layers.
        MalformedError: ``config`` is not an image config.
    """
    table = Table.parse(config, subject)
    history = [_read_history(item) for item in table.tables("history")]
    described = sum(not item.get("empty_layer") for item in history)
    if not history or described != len(layers):
        problem = f"its history lists {described} layers (expected {len(layers)})"
        raise CannotConvertError(
            f"{subject} cannot be converted to schema 1",
            reason=problem if history else "it has no history",
        )
    blobs = iter(layers)
    parent, top = "", ""
    entries: list[tuple[Digest, str]] = []
    for item in history:
        parent, empty = top, bool(item.get("empty_layer"))
        blob = EMPTY_LAYER_DIGEST if empty else next(blobs)
        top = _compute_id(blob, parent)
        entries.append((blob, json_encoding.dumps(_create_v1(item, top, parent)).decode()))
    blob = entries[-1][0]
    members = json_encoding.split(config)
    members.pop("rootfs", None)
    members.pop("history", None)
    members["id"] = f'"{_compute_id(blob, parent, config.decode())}"'
    if parent:
        members["parent"] = f'"{parent}"'
    if history[-1].get("empty_layer"):
        members["throwaway"] = "true"
    entries[-1] = (blob, json_encoding.join(members).decode())
    return _encode(name, tag, table.optional_text("architecture") or "", entries)


def rename(manifest: Schema1, *, name: str, tag: str) -> bytes:
    """Create the unsigned manifest of the same image with another name."""
    return _encode(
        name, tag, manifest.architecture, [(entry.blob, entry.v1) for entry in manifest.entries]
    )


def _read_entry(layer: Table, item: Table) -> Schema1Entry:
    layer.refuse_other_case(("blobSum",))
    item.refuse_other_case(("v1Compatibility",))
    v1 = item.text("v1Compatibility")
    table = Table.parse(v1.encode(), item.subject)
    table.refuse_other_case(_KNOWN)
    identity = table.optional_text("id") or ""
    if _ID.fullmatch(identity) is None:
        raise table.problem(f"{identity[:80]!r} is not a valid layer ID")
    throwaway = table.flag("throwaway", default=False)
    container = table.table("container_config")
    container.refuse_other_case(("Cmd",))
    command = " ".join(container.texts("Cmd"))
    history = {**table.value, "created_by": command, "empty_layer": throwaway}
    return Schema1Entry(
        layer.digest("blobSum"),
        v1,
        identity,
        table.optional_text("parent") or "",
        throwaway,
        _read_history(Table(history, item.subject)),
    )


def _link_entries(entries: tuple[Schema1Entry, ...], subject: str) -> tuple[Schema1Entry, ...]:
    """Check that each entry's parent is the entry below it; drop entries that repeat it."""
    if entries[0].parent:
        raise MalformedError(f"{subject}: the lowest layer has a parent")
    kept = [entries[0]]
    seen = {entries[0].id}
    for entry in entries[1:]:
        if entry.id == kept[-1].id:
            continue
        if entry.id in seen:
            raise MalformedError(f"{subject}: two layers have the ID {entry.id}")
        if entry.parent != kept[-1].id:
            raise MalformedError(
                f"{subject}: wrong parent (expected {kept[-1].id}, got {entry.parent[:80]!r})"
            )
        seen.add(entry.id)
        kept.append(entry)
    return tuple(kept)


def _read_history(table: Table) -> dict[str, Any]:
    """Return a config's history entry with its members in the order of containers/image."""
    created = table.value.get("created")
    if created is not None and not isinstance(created, str):
        raise table.problem("created is not a string")
    entry: dict[str, Any] = {"created": _ZERO_TIME}
    if created is not None:
        entry["created"] = values.Time.parse(created, f"{table.subject}: created").rfc3339
    for key in ("author", "created_by", "comment"):
        text = table.optional_text(key)
        if text is not None:
            entry[key] = text
    if table.flag("empty_layer", default=False):
        entry["empty_layer"] = True
    return entry


def _create_v1(item: Mapping[str, Any], identity: str, parent: str) -> dict[str, Any]:
    """Create the ``v1Compatibility`` document of a layer below the top."""
    value = {"id": identity, "parent": parent, "comment": item.get("comment")}
    members = {key: text for key, text in value.items() if text}
    members["created"] = item["created"]
    rest = {
        "container_config": {"Cmd": [item.get("created_by", "")]},
        "author": item.get("author"),
        "throwaway": item.get("empty_layer"),
    }
    return members | {key: entry for key, entry in rest.items() if entry}


def _encode(name: str, tag: str, architecture: str, entries: Sequence[tuple[Digest, str]]) -> bytes:
    """Encode an unsigned manifest; ``entries`` are ordered from bottom to top."""
    return json_encoding.dumps(
        {
            "name": name,
            "tag": tag,
            "architecture": architecture,
            "fsLayers": [{"blobSum": blob.text} for blob, _ in reversed(entries)],
            "history": [{"v1Compatibility": v1} for _, v1 in reversed(entries)],
            "schemaVersion": 1,
        }
    )


def _compute_id(blob: Digest, *parts: str) -> str:
    return Digest.of(" ".join((blob.hex, *parts)).encode()).hex
