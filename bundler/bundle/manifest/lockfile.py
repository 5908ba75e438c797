"""The lock: what a bundle manifest stood for at one time, so that it can be had again.

It lies beside the bundle manifest, is the same bytes for the same content, and holds no secret.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, cast

import yaml

from bundler.bundle.manifest.expand import LockedReferrer, Wanted
from bundler.bundle.manifest.load import ManifestFile
from bundler.bundle.manifest.schema_validation import validate
from bundler.bundle.manifest.source_reference import in_registry
from bundler.config.yaml import document
from bundler.config.yaml.document import Findings, ScalarNode, SequenceNode, Value, plain
from bundler.content.files import atomic_write
from bundler.errors import BundlerError
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.bundle.manifest.entries import IndexMode
    from bundler.bundle.manifest.load import BundleManifest
    from bundler.oci.descriptor import Descriptor

FORMAT = "airbundle/lock/v1"

MAX_BYTES = 32 << 20
MAX_VALUES = 1_000_000

_AGAIN = "mend it, or lock again: airbundle lock"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HEADER = """\
# What the bundle manifest stood for when it was locked. Written by `airbundle lock`;
# `airbundle export --locked` makes a bundle of exactly this.
"""


@dataclass(frozen=True, slots=True)
class LockedImage:
    """One image, as it was found."""

    reference: str
    source: str
    """As in ``Wanted``; in the file it is left out for a registry, and else relative to it."""
    digest: Digest
    """The root that travels."""
    media_type: str
    size: int
    """Of the root's manifest, in bytes."""
    platforms: tuple[Platform, ...]
    """Those asked for; empty: all."""
    index: IndexMode
    replaces: Digest | None
    """The root at the source, where choosing platforms made another of it."""
    referrers: tuple[LockedReferrer, ...]
    rename: str | None
    origin: str
    time: datetime
    """When it was first found to be this, in UTC."""

    @classmethod
    def of(
        cls,
        wanted: Wanted,
        *,
        root: Descriptor,
        replaces: Digest | None,
        referrers: tuple[LockedReferrer, ...],
        time: datetime,
    ) -> Self:
        """What became of ``wanted``: ``root`` travels, made from ``replaces`` if that is given."""
        return cls(
            reference=wanted.reference,
            source=wanted.source,
            digest=root.digest,
            media_type=root.media_type,
            size=root.size,
            platforms=wanted.platforms,
            index=wanted.index,
            replaces=replaces,
            referrers=referrers,
            rename=wanted.rename,
            origin=wanted.origin,
            time=time,
        )


@dataclass(frozen=True, slots=True)
class LockChanges:
    """What differs between two locks; references, in the order of the locks."""

    moved: tuple[str, ...]
    """They stand for something else now."""
    new: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """Every image of a bundle manifest with its digest."""

    name: str
    files: tuple[ManifestFile, ...]
    """The bundle manifest and what it included, as they were."""
    images: tuple[LockedImage, ...]

    def wanted(self) -> tuple[Wanted, ...]:
        """The same images again: registries are asked for digests, local places for what is there.

        What local places hold has to be what was locked.
        """
        return tuple(_wanted(image) for image in self.images)

    def changed_files(self, manifest: BundleManifest) -> tuple[str, ...]:
        """The files of ``manifest`` that are not as they were locked; empty: the lock holds.

        A file that was locked and is no longer included counts too.
        """
        locked = {file.path: file.digest for file in self.files}
        now = {file.path: file.digest for file in manifest.files}
        return tuple(path for path in {**now, **locked} if now.get(path) != locked.get(path))


def lock_path(manifest: Path) -> Path:
    """Where the lock of a bundle manifest lies.

    ``plant.yaml`` has ``plant.lock.yaml``; ``images.txt``, which is no YAML, has
    ``images.txt.lock.yaml``.
    """
    yaml_file = manifest.suffix in (".yaml", ".yml")
    return manifest.with_name(f"{manifest.stem if yaml_file else manifest.name}.lock.yaml")


def read(path: Path) -> Lock:
    """Read a lock.

    Raises:
        InvalidBundleManifestError: with every mistake as ``path:line:column: text``.
        LimitError: the file is too large.
        NotFoundError: there is no such file.
    """
    findings = Findings()
    text = document.decode(document.read_bytes(path, MAX_BYTES), str(path))
    value = document.parse(text, str(path), findings, max_values=MAX_VALUES)
    validate(value, "lock", findings)
    findings.check(hint=_AGAIN)
    images, seen = [], set[str]()
    items = plain(value, "images")
    for item in items if isinstance(items, SequenceNode) else ():
        try:
            image = _read_image(item, path.parent)
        except (BundlerError, ValueError) as error:
            findings.add(item.at, str(error))
            continue
        if image.reference in seen:
            findings.add(item.at, f"{image.reference} is here already")
        seen.add(image.reference)
        images.append(image)
    findings.check(hint=_AGAIN)
    return Lock(_text(value, "name") or "", _files(plain(value, "files")), tuple(images))


def write(path: Path, lock: Lock) -> None:
    """Replace the lock at ``path``, wholly or not at all.

    Raises:
        MediumError, NoSpaceError: the former lock is untouched then.
    """
    atomic_write.write_bytes(path, dump(lock, path.parent))


def dump(lock: Lock, folder: Path) -> bytes:
    """The bytes of ``lock`` for a file in ``folder``."""
    value = {
        "format": FORMAT,
        "name": lock.name,
        "files": [{"path": file.path, "digest": file.digest.text} for file in lock.files],
        "images": [_image(image, folder) for image in lock.images],
    }
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1 << 20)
    return (_HEADER + text).encode()


def compare(old: Lock, new: Lock) -> LockChanges:
    """What moved, what is new and what is gone from ``old`` to ``new``."""
    before = {image.reference: image for image in old.images}
    after = {image.reference: image for image in new.images}
    return LockChanges(
        moved=tuple(
            name for name, image in after.items() if name in before and _moved(before[name], image)
        ),
        new=tuple(name for name in after if name not in before),
        gone=tuple(name for name in before if name not in after),
    )


def keep_times(old: Lock, new: Lock) -> Lock:
    """``new`` with the times of ``old`` for what has not moved."""
    before = {image.reference: image for image in old.images}
    images = tuple(
        image
        if image.reference not in before or _moved(before[image.reference], image)
        else replace(image, time=before[image.reference].time)
        for image in new.images
    )
    return replace(new, images=images)


def _moved(old: LockedImage, new: LockedImage) -> bool:
    return (old.digest, old.replaces) != (new.digest, new.replaces)


def _wanted(image: LockedImage) -> Wanted:
    root = image.replaces or image.digest
    named = ImageReference.parse(image.reference)
    by_digest = in_registry(replace(named, tag=None, digest=root)).source
    return Wanted(
        reference=image.reference,
        source=by_digest if image.source.startswith("docker://") else image.source,
        platforms=image.platforms,
        index=image.index,
        referrers=bool(image.referrers),
        rename=image.rename,
        origin=image.origin,
        pin=root,
        result=image.digest,
        locked_referrers=image.referrers,
    )


def _image(image: LockedImage, folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = {"reference": image.reference}
    if not image.source.startswith("docker://"):
        value["source"] = _moved_to(image.source, lambda path: os.path.relpath(path, folder))
    value |= {
        "digest": image.digest.text,
        "mediaType": image.media_type,
        "size": image.size,
    }
    if image.platforms:
        value |= {"platforms": list(map(str, image.platforms)), "index": image.index}
    if image.replaces:
        value["replaces"] = image.replaces.text
    if image.referrers:
        value["referrers"] = [
            {"digest": referrer.digest.text} | ({"tag": referrer.tag} if referrer.tag else {})
            for referrer in image.referrers
        ]
    if image.rename:
        value["rename"] = image.rename
    return value | {"origin": image.origin, "time": image.time.astimezone(UTC).strftime(_TIME)}


def _moved_to(source: str, path_to: Callable[[str], str]) -> str:
    """A local source with another path."""
    transport, _, place = source.partition(":")
    path, colon, name = place.partition(":")
    return f"{transport}:{path_to(path)}{colon}{name}"


def _files(value: Value | None) -> tuple[ManifestFile, ...]:
    items = value if isinstance(value, SequenceNode) else ()
    return tuple(
        ManifestFile(_text(item, "path") or "", Digest(_text(item, "digest") or ""))
        for item in items
    )


def _read_image(value: Value, folder: Path) -> LockedImage:
    reference = ImageReference.parse(_text(value, "reference") or "")
    source, replaces = _text(value, "source"), _text(value, "replaces")
    referrers, platforms = plain(value, "referrers"), plain(value, "platforms")
    if source is None:
        source = in_registry(reference).source
    else:
        source = _moved_to(source, lambda path: os.path.normpath(folder / path))
    return LockedImage(
        reference=str(reference),
        source=source,
        digest=Digest(_text(value, "digest") or ""),
        media_type=_text(value, "mediaType") or "",
        size=int(_text(value, "size") or 0),
        platforms=tuple(Platform.parse(str(item)) for item in platforms or ()),
        index=cast("IndexMode", _text(value, "index") or "all"),
        replaces=None if replaces is None else Digest(replaces),
        referrers=tuple(
            LockedReferrer(Digest(_text(item, "digest") or ""), _text(item, "tag"))
            for item in (referrers if isinstance(referrers, SequenceNode) else ())
        ),
        rename=_text(value, "rename"),
        origin=_text(value, "origin") or "",
        time=datetime.strptime(_text(value, "time") or "", _TIME).replace(tzinfo=UTC),
    )


def _text(value: Value, key: str) -> str | None:
    member = plain(value, key)
    return str(member) if isinstance(member, ScalarNode) else None
