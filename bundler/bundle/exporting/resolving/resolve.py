"""Resolve image requests: open their sources, and read the graphs of all images in parallel.

Each resolved image becomes an entry of the inventory.
"""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bundler import transports
from bundler.bundle.format.inventory import absent_layers
from bundler.bundle.format.inventory.inventory import BundledImage, BundledReferrer
from bundler.copy.parallel import run_collecting_errors
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    BundlerError,
    ConflictError,
    LimitError,
    MalformedError,
    MissingImagesError,
    NotFoundError,
    UsageError,
)
from bundler.events import WarningIssued
from bundler.oci import manifest, media_types
from bundler.ports import ListsTags
from bundler.transport_port import SharesSources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import ExitStack

    from bundler.bundle.exporting.resolving.verify_signatures import SignatureChecker
    from bundler.bundle.format.inventory.inventory import Format
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ImageRequest, Referrer, ResolvedImage
    from bundler.events import Emit
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import IndexMode
    from bundler.ports import Holdings, OpenOptions, Reference, Source
    from bundler.signature_ports import PolicyCheck


MAX_SIGNATURE_BYTES = 256 * 1024 * 1024
"""Maximum size in bytes of the signatures of all images of a bundle."""


def resolve_all(
    requests: Sequence[ImageRequest],
    options: OpenOptions,
    engine: EngineOptions,
    stack: ExitStack,
    holdings: Holdings | None = None,
    *,
    policy_check: PolicyCheck | None = None,
) -> tuple[list[ResolvedImage], dict[str, BundlerError]]:
    """Resolve all requests in parallel.

    With ``engine.keep_going``, failures are returned, not raised. ``stack`` closes the sources.
    ``holdings`` is the content that the destination has; None: the sources of foreign layers are
    not determined. ``policy_check`` checks the images; None: no check.

    Returns:
        The resolved images in the order of the requests, and the errors by the display name of
        the request.

    Raises:
        NotFoundError, MissingImagesError: images do not exist.
        MissingSignatureError: an image does not have a required signature.
        BundlerError: another failure, with the origin of its request as a note.
    """
    resolver = _Resolver(options, stack, holdings, policy_check, engine)
    if any(request.verify for request in requests):
        resolver.check_signatures()
    tasks = [partial(resolver.resolve, request) for request in requests]
    collected = BundlerError if engine.keep_going else NotFoundError
    results = run_collecting_errors(engine.executor, tasks, engine.cancellation, collected)
    failed = {
        request.display_name: result
        for request, result in zip(requests, results, strict=True)
        if isinstance(result, BundlerError)
    }
    missing = {name: error for name, error in failed.items() if isinstance(error, NotFoundError)}
    if missing and not engine.keep_going:
        raise MissingImagesError.join(missing)
    return [result for result in results if not isinstance(result, BundlerError)], failed


class _Resolver:
    """Resolves one request at a time in each of several threads."""

    def __init__(
        self,
        options: OpenOptions,
        stack: ExitStack,
        holdings: Holdings | None,
        policy_check: PolicyCheck | None,
        engine: EngineOptions,
    ) -> None:
        """Take over the arguments of ``resolve_all``."""
        self._options = options
        self._stack = stack
        self._holdings = holdings
        self._policy_check = policy_check
        self._engine = engine
        self._sources = _Sources(options, stack)
        self._checker: SignatureChecker | None = None
        self._sizes: list[int] = []  # of the signatures of each image; appending is thread-safe

    def check_signatures(self) -> None:
        """Check the signatures that requests demand from now on."""
        from bundler.bundle.exporting.resolving.verify_signatures import SignatureChecker  # noqa: PLC0415 - only with requirements

        self._checker = SignatureChecker(self._engine.cancellation)
        self._stack.callback(self._checker.close)

    def resolve(self, request: ImageRequest) -> ResolvedImage:
        """Resolve one request; raises as ``resolve_all``."""
        try:
            image = self._read(request)
        except BundlerError as error:
            error.add_note(f"requested by {request.origin}")
            raise
        root, locked = image.graph.root.digest, request.locked_root
        if locked is not None and root != locked.root.digest:
            raise ConflictError(
                f"{request.display_name}: the selected platforms have another digest than in the"
                f" lock file (expected {locked.root.digest}, got {root})",
                hint="run airbundle lock again",
            )
        return image

    def _read(self, request: ImageRequest) -> ResolvedImage:
        """Read the graph of an image, check its signatures, and find its foreign layers."""
        emit = self._engine.emit
        image = resolve(request, self._sources.open(request.source), self._policy_check, emit)
        if size := sum(len(raw) for found in image.signatures.values() for raw in found):
            self._sizes.append(size)
            check_signature_size(sum(self._sizes), request.display_name)
        if self._checker is not None and request.verify:
            image = self._checker.check(image, emit)
        if self._holdings is not None and any(image.foreign_layers):
            from bundler.bundle.exporting.resolving.foreign_layers import find_foreign_sources  # noqa: PLC0415 - rare

            image = find_foreign_sources(image, self._holdings, self._options, self._stack)
        return image


class _Sources:
    """The sources of all images; a location that one source can read is opened once.

    A layout of many images would be read to find each of them. Safe for several threads.
    """

    def __init__(self, options: OpenOptions, stack: ExitStack) -> None:
        """``stack`` closes the sources."""
        self._options = options
        self._stack = stack
        self._lock = threading.Lock()
        self._shared: dict[tuple[str, str], Source] = {}

    def open(self, reference: Reference) -> Source:
        """Open the source of a reference, unless it is open."""
        transport = transports.find_transport(reference.transport)
        location = None
        if isinstance(transport, SharesSources):
            location = transport.find_shared_location(reference)
        if location is None:
            return self._open(reference)
        key = reference.transport, location
        with self._lock:
            if key not in self._shared:
                self._shared[key] = self._open(reference)
            return self._shared[key]

    def _open(self, reference: Reference) -> Source:
        source = transports.open_source(reference, self._options)
        self._stack.callback(source.close)
        return source


def check_signature_size(total: int, subject: str) -> None:
    """Check the total size of the signatures of all images, which are kept in memory.

    Raises:
        LimitError: they are too large.
    """
    if total > MAX_SIGNATURE_BYTES:
        raise LimitError(
            f"{subject}: signatures too large (expected at most {MAX_SIGNATURE_BYTES:,} bytes of"
            " all images together)",
            hint="export the images in several bundles, or with referrers: none",
        )


def list_images(
    images: Sequence[ResolvedImage], bundle_format: Format, emit: Emit
) -> tuple[list[BundledImage], dict[str, bytes]]:
    """Create the entries of images in the inventory, and their signature files, by path.

    Signatures of an unknown format are left behind, and ``emit`` receives a warning.

    Raises:
        LimitError: an image has too many signatures.
    """
    if not any(image.signatures for image in images):
        return list(map(list_image, images)), {}
    from bundler.bundle.format.signatures.image_signatures import SignatureFiles  # noqa: PLC0415 - if there are any
    from bundler.oci import signature  # noqa: PLC0415 - as above

    files = SignatureFiles(bundle_format)
    listed = []
    for image in images:
        known: dict[Digest, list[bytes]] = {}
        left_behind = list(image.left_behind)
        for digest, found in image.signatures.items():
            for number, raw in enumerate(found, 1):
                name = f"{digest.algorithm}={digest.hex}/signature-{number}"
                try:
                    signature.parse(raw, f"{image.display_name}: {name}")
                except (LimitError, MalformedError) as error:
                    emit(WarningIssued(f"left behind: {error.message}"))
                    left_behind.append(name)
                else:
                    known.setdefault(digest, []).append(raw)
        entry = replace(list_image(image), left_behind=tuple(left_behind))
        listed.append(files.add(entry, known))
    return listed, files.content


def list_image(image: ResolvedImage) -> BundledImage:
    """Create the entry of an image in the inventory of the bundle to which it is exported."""
    root, request = image.graph.root, image.request
    assert request.reference is not None  # noqa: S101 - every entry of a bundle manifest has one
    index: IndexMode | None = None
    if root.media_type in media_types.INDEXES:
        index = "strip" if image.replaces else request.selection.index
    absent: tuple[Descriptor, ...] | None = None
    if any(image.foreign_layers):
        absent = absent_layers.from_nodes(image.absent_layers)
    return BundledImage(
        reference=request.reference,
        digest=root.digest,
        media_type=root.media_type,
        size=root.size,
        platforms=tuple(map(str, image.graph.platforms)),
        index=index,
        replaces=image.replaces,
        rename=request.rename,
        origin=request.origin or None,
        source=image.served_by,
        referrers=tuple(map(_list_referrer, image.referrers)),
        absent_layers=absent,
        left_behind=image.left_behind,
        verified=image.verified,
    )


def update_entry(entry: BundledImage, image: ResolvedImage) -> BundledImage:
    """Return the entry of an image without the referrers that its transfer has left behind."""
    kept = {item.graph.root.digest for item in image.referrers}
    left = [item for item in entry.referrers if item.digest not in kept]
    if not left:
        return entry
    return replace(
        entry,
        referrers=tuple(item for item in entry.referrers if item.digest in kept),
        left_behind=(*entry.left_behind, *(item.tag or item.digest.text for item in left)),
    )


def verified_to_json(images: Iterable[ResolvedImage]) -> dict[str, Any]:
    """Return ``verified`` and ``unverified`` of a report, if a signature was required."""
    required = [image for image in images if image.request.verify]
    if not required:
        return {}
    return {
        "verified": [
            {"reference": image.display_name} | item.to_json()
            for image in required
            for item in image.verified
        ],
        "unverified": [
            {"reference": image.display_name, "error": problem}
            for image in required
            for problem in image.unverified
        ],
    }


def _list_referrer(referrer: Referrer) -> BundledReferrer:
    root = referrer.graph.root
    parsed = manifest.parse(referrer.graph.manifests[-1].raw, root.media_type)
    return BundledReferrer(
        digest=root.digest,
        media_type=root.media_type,
        size=root.size,
        subject=referrer.subject,
        artifact_type=manifest.get_artifact_type(parsed),
        tag=referrer.tag,
    )


def list_tags(repository: Reference, options: OpenOptions) -> Sequence[str]:
    """Return every tag of ``repository``, a reference without a tag.

    Raises:
        UsageError: the transport cannot list tags.
    """
    source = transports.open_source(repository, options)
    with closing(source):
        if not isinstance(source, ListsTags):
            raise UsageError(f"{repository}: transport {repository.transport} cannot list tags")
        return source.tags()
