"""The source with which the engine reads the images of a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.copy.image import ImageRequest, PinnedReferrer
from bundler.copy.resolving.platform_selection import EVERYTHING, PlatformSelection
from bundler.errors import DamagedBundleError, NotFoundError, NotRegularFileError
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.ports import Capabilities
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import BundledImage, Format, Inventory
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.format.signatures.image_signatures import StoredSignatures
    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Node, Source


def open_for_reading(directory: Path, bundle_format: Format) -> Source:
    """Open ``directory`` for reading."""
    if bundle_format == "dir":
        from bundler.transports.directory.tree import DirectoryTreeSource  # noqa: PLC0415

        return DirectoryTreeSource(directory)
    return transport.LayoutSource(directory)


@dataclass(frozen=True, slots=True)
class BundleReference:
    """A reference to an image in a bundle: the digest of its root."""

    root: Digest
    transport: str = "bundle"

    @property
    def name(self) -> str:
        """The digest."""
        return self.root.text

    def __str__(self) -> str:
        return f"{self.transport}:{self.root}"


class BundleSource:
    """The images of a bundle: only roots that the inventory lists can be resolved.

    A name is the digest of a root, of an image or of a referrer. The signatures of a manifest are
    those that its referrers contain. The caller closes the files of the bundle.
    """

    def __init__(self, bundle: BundleFiles, contents: Inventory) -> None:
        self.files = bundle
        self._contents = contents
        self._format = contents.format
        self._roots = {image.digest: image.root for image in contents.images}
        for image in contents.images:
            self._roots |= {item.digest: item.root for item in image.referrers}
        self._images = contents.images

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root whose digest is ``name``.

        Raises:
            NotFoundError: the inventory does not list it.
        """
        root = self._roots.get(Digest(name or ""))
        if root is None:
            raise NotFoundError(f"{name} is not listed in the inventory")
        return root

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open ``node`` on the medium, unverified.

        Raises:
            DamagedBundleError: it is missing, or not a regular file.
            NotFoundError: the target has it, as the bundle presupposes.
        """
        try:
            return self.files.open(self._find_path(node), offset)
        except (NotFoundError, NotRegularFileError) as error:
            if self._contents.presupposed_file is not None and node.digest in self._presupposed:
                raise NotFoundError(
                    f"{self.files.location}: {node.kind} {node.digest} is not in this bundle,"
                    " because the target has it",
                    hint="read the image at the target, or export it without --have",
                ) from error
            problem = "missing" if isinstance(error, NotFoundError) else "not a regular file"
            raise DamagedBundleError(
                f"{self.files.location}: damaged",
                [f"{node.digest}: {node.kind} is {problem}"],
                hint=f"list the damaged files with airbundle verify {self.files.location}",
            ) from error

    def signatures(self, manifest: Digest, /) -> list[bytes]:
        """Return the signatures of a manifest, of referrers and of files, unverified.

        Raises:
            DamagedBundleError, IntegrityError: they are damaged or malformed.
            LimitError: there are too many, or they are too large.
        """
        from bundler.bundle.format.signatures import attached_signatures  # noqa: PLC0415 - for policies only

        files = self.signature_files.of_manifest(manifest)
        return [*files, *attached_signatures.read(self, self._attached.get(manifest, ()))]

    @cached_property
    def signature_files(self) -> StoredSignatures:
        """The signatures that are files of the bundle."""
        from bundler.bundle.format.signatures.image_signatures import StoredSignatures  # noqa: PLC0415 - rare

        return StoredSignatures(self.files, self._format, self._images)

    @cached_property
    def _presupposed(self) -> Mapping[Digest, HeldBlob]:
        from bundler.bundle.format.inventory import presupposed  # noqa: PLC0415 - rare

        return presupposed.read(self.files, self._contents)

    @cached_property
    def _attached(self) -> Mapping[Digest, Sequence[Descriptor]]:
        from bundler.bundle.format.signatures import attached_signatures  # noqa: PLC0415 - for policies only

        return attached_signatures.find_all(self._images)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of a bundle."""
        return Capabilities(omits_foreign_layers=self._format == "oci")

    def has(self, node: Node, /) -> bool:
        """Whether the bundle contains ``node`` with its size."""
        size = self.find_size(node)
        return size is not None and size == node.size

    def find_size(self, node: Node) -> int | None:
        """Return the size of the file of ``node`` in bytes; None if there is none."""
        try:
            return self.files.get_size(self._find_path(node))
        except NotFoundError:
            return None

    def close(self) -> None:
        """Do nothing: the caller closes the files of the bundle."""

    def _find_path(self, node: Node) -> str:
        """Return the path of the file of ``node``.

        Raises:
            NotFoundError: no image of format ``dir`` has it, or the node has no digest.
        """
        digest = node.digest
        if digest is None:
            raise NotFoundError(f"{self.files.location}: cannot open a blob without a digest")
        if self._format == "oci":
            return bundle_paths.find_path("oci", digest, digest, manifest=False)
        if digest not in self._paths:
            raise NotFoundError(f"{self.files.location}: no image has {digest}")
        return self._paths[digest]

    @cached_property
    def _paths(self) -> Mapping[Digest, str]:
        """A file of each manifest and blob in format ``dir``, a regular one if possible."""
        paths: dict[Digest, str] = {}
        entries = self.files.scan().entries.values()
        for entry in sorted(entries, key=lambda entry: entry.kind == "file"):
            if (digest := bundle_paths.parse_digest(entry.path)) is not None:
                paths[digest] = entry.path
        return paths


def create_request(image: BundledImage) -> ImageRequest:
    """Create the request for an image of a bundle and its referrers, for ``BundleSource``."""
    return ImageRequest(
        source=BundleReference(image.digest),
        reference=image.reference,
        selection=find_selection(image),
        referrers=tuple(PinnedReferrer(item.digest, item.tag) for item in image.referrers),
        expected_root=image.digest,
    )


def find_selection(image: BundledImage) -> PlatformSelection:
    """Return the selection of the platforms in the bundle: all, unless the index is sparse."""
    if image.index != "sparse":
        return EVERYTHING
    return PlatformSelection(tuple(Platform.parse(text) for text in image.platforms), "sparse")
