"""The images of a bundle that are imported or served: selected, verified, and complete."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format import bundle_source
from bundler.bundle.format.files import bundle_paths
from bundler.copy.image import ResolvedImage, find_unique_blobs
from bundler.copy.parallel import run_collecting_errors
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    DamagedBundleError,
    NotFoundError,
    RejectedByPolicyError,
    RejectedImagesError,
    UnusableBlob,
    count,
)
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.copy.engine import EngineOptions
    from bundler.gocompat.regexp import GoExpression
    from bundler.oci.digest import Digest
    from bundler.signature_ports import PolicyCheck


# One reads from the medium while the other one parses. More only compete for the interpreter lock.
_READERS = 2


def select_images(inventory: Inventory, only: Sequence[GoExpression]) -> list[BundledImage]:
    """Return the images whose full name contains a match of one of ``only``; all if it is empty.

    Raises:
        NotFoundError: no image matches.
    """
    every = inventory.images
    selected = [
        image
        for image in every
        if not only or any(item.search(str(image.reference)) for item in only)
    ]
    if only and not selected:
        patterns = ", ".join(repr(pattern.pattern) for pattern in only)
        raise NotFoundError(
            f"no image matches {patterns} (the bundle has {count(len(every), 'image')})",
            hint="list the names with airbundle ls",
        )
    return selected


def resolve_images(
    selected: Sequence[BundledImage],
    source: bundle_source.BundleSource,
    policy_check: PolicyCheck | None,
    engine: EngineOptions,
) -> list[ResolvedImage]:
    """Read and verify every manifest; images that differ only in their names are read once.

    A policy applies to the name by which the image was exported, so every name is checked.

    Raises:
        IntegrityError, LimitError: a manifest is missing, damaged, or exceeds a limit.
        RejectedByPolicyError: the policy rejects images; the error names all of them.
    """
    requests = [bundle_source.create_request(image) for image in selected]
    if policy_check is not None:
        requests = [
            replace(request, policy_reference=str(create_registry_reference(image.reference)))
            for request, image in zip(requests, selected, strict=True)
        ]
    keys = [
        (request.expected_root, request.selection, request.referrers, request.policy_reference)
        for request in requests
    ]
    distinct = dict(zip(keys, requests, strict=True))
    if policy_check is not None:
        for request, listed in zip(requests, selected, strict=True):
            for found in source.signature_files.of_image(listed).values():
                policy_check.expect_signatures(request.policy_reference, found)
    tasks = [partial(resolve, request, source, policy_check) for request in distinct.values()]
    results = run_collecting_errors(
        engine.executor, tasks, engine.cancellation, RejectedByPolicyError, at_once=_READERS
    )
    rejections = [result for result in results if isinstance(result, RejectedByPolicyError)]
    if rejections:
        raise rejections[0] if len(rejections) == 1 else RejectedImagesError(rejections)
    images = []
    for image in results:
        assert isinstance(image, ResolvedImage)  # noqa: S101 - for mypy: all errors were raised
        # An import never contacts the URLs of foreign layers.
        stored = [node for node in image.foreign_layers if source.has(node)]
        sources = {node.digest: source for node in stored if node.digest is not None}
        images.append(replace(image, foreign_sources=sources))
    resolved = dict(zip(distinct, images, strict=True))
    return [
        replace(resolved[key], request=request) for key, request in zip(keys, requests, strict=True)
    ]


def check_present(
    selected: Sequence[BundledImage],
    images: Sequence[ResolvedImage],
    source: bundle_source.BundleSource,
    consequence: str,
    *,
    presupposed: Collection[Digest] = (),
) -> None:
    """Check that the bundle has all required blobs of the images, with their sizes.

    The target has those that are ``presupposed``. ``consequence`` completes the message of the
    error: ``nothing was imported``.

    Raises:
        DamagedBundleError: blobs are missing, or have another size.
    """
    missing = {
        node.digest: node
        for node in find_unique_blobs(images).values()
        if not node.urls and node.digest not in presupposed and not source.has(node)
    }
    for listed, image in zip(selected, images, strict=True):
        if listed.absent_layers is not None:
            left_out = {layer.digest for layer in listed.absent_layers}
            missing |= {
                node.digest: node for node in image.absent_layers if node.digest not in left_out
            }
    if missing:
        bundle = source.files
        entries = bundle.scan().entries.values()
        special = {bundle_paths.parse_digest(item.path) for item in entries if item.kind != "file"}
        raise DamagedBundleError(
            f"{bundle.location}: damaged; {consequence}",
            blobs=[
                UnusableBlob(
                    str(node.digest),
                    node.size or 0,
                    source.find_size(node),
                    special=node.digest in special,
                )
                for node in missing.values()
            ],
            hint=format_verify_hint(bundle.location),
        )


def format_verify_hint(location: str) -> str:
    """Return the hint for a damaged bundle."""
    return f"list the damaged files with airbundle verify {location}"
