"""Signatures of images in a bundle that are not attached to the images in their registry.

They come from lookaside locations, from directories, or from image stores. Each is a file as
``oci.signature`` encodes it, whose digest and size are in the inventory. Images in format ``oci``
share the signatures of a manifest; in format ``dir``, they are in the directory of the image, where
other programs find them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

from bundler.bundle.format.files import bundle_paths
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.errors import DamagedBundleError, LimitError, NotFoundError
from bundler.oci.digest import Digest
from bundler.oci.signature import MAX_SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import BundledImage, Format
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.oci.json import strict
    from bundler.oci.json.table import Table

MAX_OF_IMAGE = 1_000
"""Maximum number of signatures of one image, all of its platforms included."""
MAX_TOTAL = 16 * 1024 * 1024
"""Maximum size in bytes of the signatures of one image."""
_MAX_NUMBER = 9_999


@dataclass(frozen=True, slots=True)
class BundledSignature:
    """A signature of a manifest of an image."""

    manifest: Digest
    """The signed manifest: the root of the image, or one of its platforms."""
    number: int
    """The number in the file name."""
    digest: Digest
    """The digest of the file."""
    size: int
    """The size of the file in bytes."""

    def find_path(self, bundle_format: Format, root: Digest) -> str:
        """Return the path of the file; ``root`` is the root of the image."""
        return bundle_paths.find_signature_path(bundle_format, root, self.manifest, self.number)

    @classmethod
    def from_json(cls, table: Table) -> Self:
        """Read an entry of ``signatures``; raises as ``parse_inventory``."""
        found = cls(
            table.digest("manifest"),
            table.integer("number"),
            table.digest("digest"),
            table.integer("size"),
        )
        if not 0 < found.number <= _MAX_NUMBER:
            raise table.problem(f"number is {found.number} (expected 1 to {_MAX_NUMBER})")
        if not 0 < found.size <= MAX_SIGNATURE:
            raise table.problem(f"size is {found.size} (expected 1 to {MAX_SIGNATURE:,})")
        return found

    def to_json(self) -> strict.JSON:
        """Return the entry as JSON."""
        return {
            "manifest": self.manifest.text,
            "number": self.number,
            "digest": self.digest.text,
            "size": self.size,
        }


def read_entries(table: Table) -> tuple[BundledSignature, ...]:
    """Read the member ``signatures`` of an image; raises as ``parse_inventory``."""
    found = tuple(map(BundledSignature.from_json, table.tables("signatures", MAX_OF_IMAGE)))
    if len({(item.manifest, item.number) for item in found}) != len(found):
        raise table.problem("signatures has two entries for the same file")
    if (total := sum(item.size for item in found)) > MAX_TOTAL:
        raise LimitError(
            f"{table.subject}: signatures too large"
            f" (expected at most {MAX_TOTAL:,} bytes of one image, got {total:,})"
        )
    return found


@dataclass(slots=True)
class SignatureFiles:
    """The signature files of a new bundle, as images are added to it in order."""

    bundle_format: Format
    content: dict[str, bytes] = field(default_factory=dict)
    """The files, by path."""
    _numbers: defaultdict[str, dict[bytes, int]] = field(default_factory=lambda: defaultdict(dict))

    def add(
        self, image: BundledImage, signatures: Mapping[Digest, Sequence[bytes]]
    ) -> BundledImage:
        """Add the signatures of an image; return its entry with them.

        Raises:
            LimitError: the image has too many signatures.
        """
        listed: list[BundledSignature] = []
        for manifest, found in signatures.items():
            for raw in dict.fromkeys(found):
                root = image.digest
                first = bundle_paths.find_signature_path(self.bundle_format, root, manifest, 1)
                numbers = self._numbers[first]
                number = numbers.setdefault(raw, len(numbers) + 1)
                entry = BundledSignature(manifest, number, Digest.of(raw), len(raw))
                self.content[entry.find_path(self.bundle_format, root)] = raw
                listed.append(entry)
                if len(listed) > MAX_OF_IMAGE or number > _MAX_NUMBER:
                    raise LimitError(
                        f"{image.reference}: too many signatures (expected at most"
                        f" {MAX_OF_IMAGE:,} of one image)"
                    )
        return replace(image, signatures=tuple(listed))


def write_files(bundle: Path, files: Mapping[str, bytes], *, only_missing: bool = False) -> None:
    """Durably write the signature ``files`` that differ from those in the bundle.

    With ``only_missing``, existing files, which the former bundle may list, are not changed.

    Raises:
        NoSpaceError, MediumError: a file cannot be written.
    """
    with Directory.open(bundle) as top:
        for path, data in find_changed(top, files).items():
            *folders, name = path.split("/")
            if only_missing and top.get_size(*folders, name) is not None:
                continue
            with top.enter(*folders, create=True) as folder:
                atomic_write.write_bytes_in(folder, name, data)
                atomic_write.sync_directory(top)


def find_changed(bundle: Directory, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return those of the signature ``files`` that are not in the bundle with this content.

    Raises:
        MediumError: a file cannot be read.
    """
    return {
        path: data
        for path, data in files.items()
        if bundle.get_size(*path.split("/")) != len(data)
        or bundle.read(*path.split("/"), limit=len(data)) != data
    }


class StoredSignatures:
    """The signature files of the images in a bundle; each is read once. Thread-safe."""

    def __init__(
        self, bundle: BundleFiles, bundle_format: Format, images: Sequence[BundledImage]
    ) -> None:
        self._bundle = bundle
        self._format = bundle_format
        self._images = images
        self._content: dict[str, bytes] = {}

    def of_image(self, image: BundledImage) -> dict[Digest, tuple[bytes, ...]]:
        """Return the signatures of an image, compared with the inventory, by manifest.

        Raises:
            DamagedBundleError: a file is missing, or its content differs from the inventory.
            MediumError: a file cannot be read.
        """
        found: defaultdict[Digest, list[bytes]] = defaultdict(list)
        for item in image.signatures:
            path = item.find_path(self._format, image.digest)
            found[item.manifest].append(self._read(path, item))
        return {manifest: tuple(signatures) for manifest, signatures in found.items()}

    def of_manifest(self, manifest: Digest) -> list[bytes]:
        """Return the signatures of a manifest that any of the images has, each once.

        Raises:
            DamagedBundleError, MediumError: as ``of_image``.
            LimitError: they are too large.
        """
        files = self._files.get(manifest, {})
        if sum(item.size for item, _ in files.values()) > MAX_TOTAL:
            raise LimitError(f"signatures of {manifest}: more than {MAX_TOTAL:,} bytes")
        return [self._read(path, item) for item, path in files.values()]

    @cached_property
    def _files(self) -> Mapping[Digest, Mapping[Digest, tuple[BundledSignature, str]]]:
        """One file for each signature, by manifest and by digest."""
        found: defaultdict[Digest, dict[Digest, tuple[BundledSignature, str]]] = defaultdict(dict)
        for image in self._images:
            for item in image.signatures:
                path = item.find_path(self._format, image.digest)
                found[item.manifest].setdefault(item.digest, (item, path))
        return found

    def _read(self, path: str, item: BundledSignature) -> bytes:
        raw = self._content.get(path)
        if raw is None:
            location = self._bundle.location
            hint = f"list the damaged files with airbundle verify {location}"
            try:
                raw = self._bundle.read(path, item.size)
            except (NotFoundError, LimitError) as error:
                problems = [error.message]
                raise DamagedBundleError(f"{location}: damaged", problems, hint=hint) from error
            if Digest.of(raw, item.digest.algorithm) != item.digest:
                problem = f"{path}: digest mismatch (expected {item.digest}, got {Digest.of(raw)})"
                raise DamagedBundleError(f"{location}: damaged", [problem], hint=hint)
            self._content[path] = raw
        return raw
