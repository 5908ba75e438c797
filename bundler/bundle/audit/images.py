"""Open the images of a bundle, or those at any other source, to look into them.

Manifests are verified against their digests. The signatures of a bundle are verified only if a
trust is given; otherwise, its inventory is not authenticated.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from bundler import transports
from bundler.bundle.format import bundle_source
from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.reading.open_files import open_files
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.resolve import resolve
from bundler.errors import NotFoundError, UsageError, count
from bundler.ports import ListsTags
from bundler.transports.source_images import SourceImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.location import Location
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.copy.image import ReferrerPolicy, ResolvedImage
    from bundler.events import Emit
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, Reference, Source
    from bundler.trust.bundle_trust import BundleTrust

MIN_DIGEST = 12
"""The minimum number of hexadecimal digits that identify an image."""


@dataclass(frozen=True, slots=True)
class ImageAtLocation:
    """An image whose source is open; its manifests have not been read."""

    name: str
    """The full name in the inventory, or the reference with its transport."""
    source: Source
    request: ImageRequest
    listed: BundledImage | None
    """The entry in the inventory; None: the image is not part of a bundle."""

    def find_digest(self) -> Digest:
        """Return the digest of the root.

        Raises:
            NotFoundError: the image does not exist.
        """
        if self.listed is not None:
            return self.listed.digest
        return self.source.resolve(self.request.source.name).digest

    def resolve(self, emit: Emit, *, referrers: bool = False) -> ResolvedImage:
        """Read and verify the manifests of the image, and of its referrers if requested.

        Raises:
            BundlerError: a manifest is missing or damaged, see ``copy.resolve.resolve``.
        """
        policy: ReferrerPolicy = "all" if self.listed is None else self.request.referrers
        request = replace(self.request, referrers=policy if referrers else "none")
        return resolve(request, self.source, emit=emit)


class OpenImages:
    """The images of a bundle or of another source. Closed by its context. For one thread."""

    def __init__(
        self,
        location: str,
        inventory: Inventory | None,
        images: Sequence[ImageAtLocation],
        stack: ExitStack,
        *,
        raw: bytes | None = None,
        files: BundleFiles | None = None,
        bundle: AuthenticatedBundle | None = None,
    ) -> None:
        self.location = location
        self.inventory = inventory
        """The inventory; None: the images are not those of a bundle."""
        self.raw = raw
        """The bytes of the inventory; None: there is none."""
        self.files = files
        """The files of the bundle, closed with the images; None: there is none."""
        self.bundle = bundle
        """The bundle; None: its signatures were not verified, or there is none."""
        self.images = tuple(images)
        self._stack = stack

    @property
    def is_authenticated(self) -> bool:
        """Whether trusted keys signed the inventory; False if the signatures were not verified."""
        return self.bundle is not None

    def find(self, text: str | None) -> ImageAtLocation:
        """Return the image that ``text`` identifies; None: the only image.

        ``text`` is the name of the image, also without its location, the end of it after a ``/``,
        or its digest, which may be abbreviated to ``MIN_DIGEST`` digits.

        Raises:
            NotFoundError: there is no such image.
            UsageError: several images match.
        """
        found = self.images if text is None else self.find_all(text)
        if not found:
            raise NotFoundError(
                f"{self.location}: no image {text!r} (it has {count(len(self.images), 'image')})",
                hint=f"list the images: airbundle ls {self.location}",
            )
        if len({image.request.expected_root or image.name for image in found}) > 1:
            names = ", ".join(image.name for image in found[:3])
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise UsageError(
                f"{self.location}: several images match (expected one, got {names}{more})",
                hint="add the full name of one of them",
            )
        return found[0]

    def find_all(self, text: str) -> tuple[ImageAtLocation, ...]:
        """Return the images that ``text`` identifies, as in ``find``."""
        found = []
        digits = text.removeprefix("sha256:")
        is_digest = len(digits) >= MIN_DIGEST and set(digits) <= set("0123456789abcdef")
        for image in self.images:
            names = (image.name, image.request.source.name or "")
            if (
                text in names
                or any(name.endswith(f"/{text}") for name in names)
                or (is_digest and image.find_digest().hex.startswith(digits))
            ):
                found.append(image)
        return tuple(found)

    def resolve_all(self, emit: Emit) -> list[ResolvedImage]:
        """Resolve all images with their referrers, as ``ImageAtLocation.resolve`` does."""
        return [image.resolve(emit, referrers=True) for image in self.images]

    def close(self) -> None:
        """Close the sources."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_images(
    location: Location, options: OpenOptions, trust: BundleTrust | None = None
) -> OpenImages:
    """Open the images at ``location``.

    A reference without a name opens all images that its source lists.
    ``trust`` authenticates the bundle; None: its signatures are not verified.

    Raises:
        UnauthenticatedError, TrustError: the bundle is not signed as ``trust`` requires.
        UsageError: a trust is given, and ``location`` is not a bundle.
        NotFoundError: the bundle or the image does not exist.
        InvalidReferenceError: ``location`` is a file, or not a reference.
        MalformedError, LimitError, UnsupportedError: the inventory cannot be read.
    """
    if location.is_path:
        with ExitStack() as stack:
            return _open_bundle(
                stack.enter_context(open_files(location.stream or location.paths)), trust, stack
            )
    if trust is not None:
        raise UsageError(f"{location}: not a bundle, so it has no signatures to verify")
    (text,) = location.words
    reference = transports.parse(text)
    with ExitStack() as stack:
        source = transports.open_source(reference, options)
        stack.callback(source.close)
        images: list[Reference] = [reference]
        if reference.name is None and isinstance(source, ListsTags) and (names := source.tags()):
            images = [SourceImage(reference, name, f"{reference}:{name}", name) for name in names]
        found = [
            ImageAtLocation(str(item), source, ImageRequest(source=item), None) for item in images
        ]
        return OpenImages(text, None, found, stack.pop_all())


def _open_bundle(bundle: BundleFiles, trust: BundleTrust | None, stack: ExitStack) -> OpenImages:
    location = bundle.location
    opened = None
    if trust is None:
        raw, inventory = read_inventory(bundle)
    else:
        from bundler.bundle.format import authenticate  # noqa: PLC0415 - loads cryptography

        opened = authenticate.open_bundle(bundle, trust, allow_expired=True)
        raw, inventory = opened.raw, opened.inventory
    source = bundle_source.BundleSource(bundle, inventory)
    images = [
        ImageAtLocation(str(image.reference), source, bundle_source.create_request(image), image)
        for image in inventory.images
    ]
    return OpenImages(
        location, inventory, images, stack.pop_all(), raw=raw, files=bundle, bundle=opened
    )
