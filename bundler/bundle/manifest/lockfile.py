"""The lock file: a bundle manifest with every image pinned to its digest.

It is stored beside the bundle manifest, has equal bytes for equal content, and contains no secrets.
"""

from __future__ import annotations

import os.path
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import yaml

from bundler import transports
from bundler.bundle.exporting.resolving.resolve import resolve_all
from bundler.bundle.manifest.load import ManifestFile
from bundler.bundle.manifest.schema_validation import validate
from bundler.config.yaml import document
from bundler.config.yaml.document import ScalarNode, SequenceNode, Value, YamlMistakes, get_member
from bundler.content.files import atomic_write
from bundler.copy.image import ImageRequest, LockedRoot, PinnedReferrer
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import BundlerError, ConflictError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.ports import RegistryReference
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bundler.bundle.manifest.entries import ImageOptions
    from bundler.bundle.manifest.load import BundleManifest
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ForeignLayerPolicy
    from bundler.oci.manifest import IndexMode
    from bundler.ports import OpenOptions, Reference

FORMAT = "airbundle/lock/v1"

MAX_BYTES = 32 << 20
MAX_VALUES = 1_000_000

_HINT = "correct the lock file, or write it again: airbundle lock"
_HEADER = """\
# This file pins each image of a bundle manifest to a digest. `airbundle lock` writes it
# and `airbundle export --locked` exports exactly these images.
"""


@dataclass(frozen=True, slots=True)
class LockChanges:
    """The differences between two lock files, as references in the order of the files."""

    moved: tuple[str, ...]
    """Images that resolve to another root than before."""
    new: tuple[str, ...]
    gone: tuple[str, ...]
    """Images that are no longer in the lock file."""


@dataclass(frozen=True, slots=True)
class LockFile:
    """The content of a lock file."""

    name: str
    files: tuple[ManifestFile, ...]
    """The bundle manifest and the files it included, with their digests."""
    images: tuple[ImageRequest, ...]
    """A request for each locked digest, with ``locked_root`` set.

    Sources in a registry are references by digest. A local source must still contain the digest.
    """

    @property
    def records(self) -> dict[str, LockedRoot]:
        """The locked root of each image, by its label."""
        return {
            image.display_name: image.locked_root
            for image in self.images
            if image.locked_root is not None
        }

    def find_changed_files(self, manifest: BundleManifest) -> tuple[str, ...]:
        """Return the paths of files that have changed, were added, or are no longer included."""
        locked = {file.path: file.digest for file in self.files}
        now = {file.path: file.digest for file in manifest.files}
        return tuple(path for path in {**now, **locked} if now.get(path) != locked.get(path))


def find_lock_path(manifest: Path) -> Path:
    """Return the path of the lock file of a bundle manifest.

    The lock file of ``plant.yaml`` is ``plant.lock.yaml``. A list, ``images.txt``, has
    ``images.txt.lock.yaml``.
    """
    yaml_file = manifest.suffix in (".yaml", ".yml")
    return manifest.with_name(f"{manifest.stem if yaml_file else manifest.name}.lock.yaml")


def create(
    manifest: BundleManifest,
    requests: Sequence[ImageRequest],
    options: OpenOptions,
    engine: EngineOptions,
) -> LockFile:
    """Resolve ``requests``, the images of ``manifest``, and pin each one to its digest.

    Raises:
        BundlerError: an image cannot be resolved.
    """
    time = datetime.now(UTC).replace(microsecond=0)
    with ExitStack() as stack:
        images, _ = resolve_all(requests, options, replace(engine, keep_going=False), stack)
    locked_requests = []
    for image in images:
        request, root = image.request, image.graph.root
        locked = LockedRoot(
            Descriptor(root.media_type, root.digest, root.size), image.replaces, time
        )
        source = request.source
        if isinstance(source, RegistryReference) and request.reference is not None:
            source = _create_pinned_source(request.reference, locked)
        pinned = [PinnedReferrer(item.graph.root.digest, item.tag) for item in image.referrers]
        locked_request = replace(
            request,
            source=source,
            referrers=tuple(pinned),
            # ``restore_options`` reads these from the bundle manifest again.
            signatures="none",
            verify=(),
            on_missing="fail",
            expected_root=locked.replaces or root.digest,
            locked_root=locked,
        )
        locked_requests.append(locked_request)
    return LockFile(manifest.name, manifest.files, tuple(locked_requests))


def read(path: Path) -> LockFile:
    """Read a lock file.

    Raises:
        InvalidBundleManifestError: contains every mistake as ``path:line:column: text``.
        LimitError: the file is too large.
        NotFoundError: the file does not exist.
    """
    mistakes = YamlMistakes()
    text = document.decode(document.read_bytes(path, MAX_BYTES), str(path))
    value = document.parse(text, str(path), mistakes, max_values=MAX_VALUES)
    validate(value, "lock", mistakes)
    mistakes.raise_if_any(hint=_HINT)
    images, seen = [], set[str]()
    items = get_member(value, "images")
    for item in items if isinstance(items, SequenceNode) else ():
        try:
            image = _read_image(item, path.parent)
        except (BundlerError, ValueError) as error:
            mistakes.add(item.at, str(error))
            continue
        if image.display_name in seen:
            mistakes.add(item.at, f"{image.display_name} is listed twice")
        seen.add(image.display_name)
        images.append(image)
    mistakes.raise_if_any(hint=_HINT)
    listed = get_member(value, "files")
    files = [
        ManifestFile(_read_text(item, "path") or "", Digest(_read_text(item, "digest") or ""))
        for item in (listed if isinstance(listed, SequenceNode) else ())
    ]
    return LockFile(_read_text(value, "name") or "", tuple(files), tuple(images))


def write(path: Path, lock: LockFile) -> None:
    """Atomically replace the lock file at ``path``.

    Raises:
        MediumError, NoSpaceError: it cannot be written; the former file is unchanged.
    """
    atomic_write.write_bytes(path, dump(lock, path.parent))


def dump(lock: LockFile, folder: Path) -> bytes:
    """Return the bytes of ``lock`` for a file in ``folder``."""
    images = []
    for image in lock.images:
        locked = image.locked_root
        assert locked is not None  # noqa: S101 - every image of a lock file has it
        value: dict[str, Any] = {"reference": image.display_name}
        if not isinstance(image.source, RegistryReference):
            source = str(image.source)
            value["source"] = _replace_path(source, lambda path: os.path.relpath(path, folder))
        value |= {
            "digest": locked.root.digest.text,
            "mediaType": locked.root.media_type,
            "size": locked.root.size,
        }
        if image.selection.platforms:
            value["platforms"] = list(map(str, image.selection.platforms))
            value["index"] = image.selection.index
        if locked.replaces:
            value["replaces"] = locked.replaces.text
        if image.referrers:
            value["referrers"] = [
                {"digest": referrer.digest.text} | ({"tag": referrer.tag} if referrer.tag else {})
                for referrer in image.referrers
                if isinstance(referrer, PinnedReferrer)
            ]
        if image.foreign_layers:
            value["foreignLayers"] = image.foreign_layers
        if image.rename:
            value["rename"] = image.rename
        value |= {"origin": image.origin, "time": timestamps.format_utc(locked.time)}
        images.append(value)
    content = {
        "format": FORMAT,
        "name": lock.name,
        "files": [{"path": file.path, "digest": file.digest.text} for file in lock.files],
        "images": images,
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1 << 20)
    return (_HEADER + text).encode()


def compare(old: LockFile, new: LockFile) -> LockChanges:
    """Compare two lock files; each contains an image only once."""
    before, after = old.records, new.records
    return LockChanges(
        moved=tuple(
            name
            for name, record in after.items()
            if name in before and _has_moved(before[name], record)
        ),
        new=tuple(name for name in after if name not in before),
        gone=tuple(name for name in before if name not in after),
    )


def keep_times(old: LockFile, new: LockFile) -> LockFile:
    """Return ``new`` with the times of ``old`` for images whose root has not changed."""
    before, after = old.records, new.records
    images = tuple(
        replace(image, locked_root=before[image.display_name])
        if image.display_name in before
        and not _has_moved(before[image.display_name], after[image.display_name])
        else image
        for image in new.images
    )
    return replace(new, images=images)


def restore_options(
    images: Sequence[ImageRequest], manifest: BundleManifest
) -> tuple[ImageRequest, ...]:
    """Return the locked images with the options that only the bundle manifest contains.

    Raises:
        ConflictError: an image is not in the bundle manifest, so its requirements are unknown.
    """
    entries: defaultdict[tuple[str, str], list[ImageOptions]] = defaultdict(list)
    for entry in manifest.images:
        entries[entry.origin, entry.reference.repository].append(entry.options)
    restored = []
    for image in images:
        repository = "" if image.reference is None else image.reference.repository
        found = entries.get((image.origin, repository))
        if found is None:
            raise ConflictError(
                f"{image.display_name}: not in the bundle manifest at {image.origin or 'any line'}",
                hint="run airbundle lock again",
            )
        carried = any(options.referrers != "none" for options in found)
        requirements = dict.fromkeys(item for options in found for item in options.verify)
        is_strict = any(options.on_missing == "fail" for options in found)
        restored.append(
            replace(
                image,
                signatures="applicable" if carried else "none",
                verify=tuple(requirements),
                on_missing="fail" if is_strict else "warn",
            )
        )
    return tuple(restored)


def _has_moved(old: LockedRoot, new: LockedRoot) -> bool:
    return (old.root.digest, old.replaces) != (new.root.digest, new.replaces)


def _replace_path(source: str, convert: Callable[[str], str]) -> str:
    """Replace the path of a local source."""
    transport, _, rest = source.partition(":")
    path, colon, name = rest.partition(":")
    return f"{transport}:{convert(path)}{colon}{name}"


def _read_image(value: Value, folder: Path) -> ImageRequest:
    reference = ImageReference.parse(_read_text(value, "reference") or "")
    source, replaces = _read_text(value, "source"), _read_text(value, "replaces")
    referrers, platforms = get_member(value, "referrers"), get_member(value, "platforms")
    root = Descriptor(
        media_type=_read_text(value, "mediaType") or "",
        digest=Digest(_read_text(value, "digest") or ""),
        size=int(_read_text(value, "size") or 0),
    )
    time = timestamps.parse_utc(_read_text(value, "time") or "", "time")
    locked = LockedRoot(root, None if replaces is None else Digest(replaces), time)
    return ImageRequest(
        source=(
            _create_pinned_source(reference, locked)
            if source is None
            else transports.parse(
                _replace_path(source, lambda path: os.path.normpath(folder / path))
            )
        ),
        reference=reference,
        selection=PlatformSelection(
            tuple(Platform.parse(str(item)) for item in platforms or ()),
            cast("IndexMode", _read_text(value, "index") or "all"),
        ),
        referrers=tuple(
            PinnedReferrer(Digest(_read_text(item, "digest") or ""), _read_text(item, "tag"))
            for item in (referrers if isinstance(referrers, SequenceNode) else ())
        ),
        foreign_layers=cast("ForeignLayerPolicy | None", _read_text(value, "foreignLayers")),
        expected_root=locked.replaces or root.digest,
        locked_root=locked,
        rename=_read_text(value, "rename"),
        origin=_read_text(value, "origin") or "",
    )


def _create_pinned_source(reference: ImageReference, locked: LockedRoot) -> Reference:
    digest = locked.replaces or locked.root.digest
    return create_registry_reference(replace(reference, tag=None, digest=digest))


def _read_text(value: Value, key: str) -> str | None:
    member = get_member(value, key)
    return str(member) if isinstance(member, ScalarNode) else None
