"""Open bundles to be served: authenticate, verify and name their images, as an import does.

Signatures, expiry, the policy, all manifests, and the existence and size of all blobs are checked
before anything is served. The contents of blobs are not read; a client verifies their digests. The
records of the site are not read, so older bundles can be served too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.format.authenticate import open_bundle
from bundler.bundle.format.bundle_source import BundleSource
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.format.reading.volume_files import VolumeFiles
from bundler.bundle.importing.policy_use import NO_POLICY, PolicyUse
from bundler.bundle.importing.selected_images import check_present, resolve_images, select_images
from bundler.bundle.serving.content import ServedContent, ServedImage, ServedRepository
from bundler.copy.image import find_unique_blobs
from bundler.copy.target_names import NameMapping, find_unused_rules
from bundler.errors import ConflictError, UnsupportedError
from bundler.events import WarningIssued
from bundler.trust.bundle_trust import NO_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.reading.open_files import BundleLocation
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.copy.target_names import TargetName
    from bundler.gocompat.regexp import GoExpression
    from bundler.trust.bundle_trust import BundleTrust


@dataclass(frozen=True, slots=True)
class ServeRequest:
    """The bundles to serve, the trust in their signers, and the names of their images."""

    bundles: tuple[BundleLocation, ...]
    trust: BundleTrust = NO_KEYS
    signature_files: tuple[Path, ...] = ()
    """Signatures of the only bundle that are stored elsewhere."""
    allow_unsigned: bool = False
    allow_expired: bool = False
    names: NameMapping = field(default_factory=NameMapping)
    only: tuple[GoExpression, ...] = ()
    """Serve images whose full name contains a match of one of these patterns; empty: all."""
    policy: PolicyUse = NO_POLICY


def open_content(
    request: ServeRequest, engine: EngineOptions, stack: ExitStack
) -> tuple[ServedContent, list[AuthenticatedBundle]]:
    """Open the bundles of ``request``; ``stack`` closes their files.

    Raises:
        InvalidSignatureError, UnauthenticatedError, ExpiredError: a bundle is not trusted.
        RejectedByPolicyError: the policy rejects an image.
        IntegrityError, DamagedBundleError: a manifest is damaged, or content is missing.
        VolumesOwedError: volumes of a bundle are missing.
        UnsupportedError: a bundle lacks content that its target has.
        ConflictError: two images have the same name and different digests.
        NotFoundError: a bundle does not exist, or no image of it is selected.
    """
    files = [stack.enter_context(open_files(bundle)) for bundle in request.bundles]
    for volumes in files:
        if isinstance(volumes, VolumeFiles):
            volumes.check_complete()
    opened = [
        open_bundle(
            bundle,
            request.trust,
            signature_files=request.signature_files,
            allow_unsigned=request.allow_unsigned,
            allow_expired=request.allow_expired,
        )
        for bundle in files
    ]
    registry = _Registry()
    references = []
    for stored, bundle in zip(files, opened, strict=True):
        inventory = bundle.inventory
        if inventory.presupposed_file is not None:
            raise UnsupportedError(
                f"{stored.location}: lacks blobs that its target has; nothing is served",
                hint="import the bundle, or export it without --have",
            )
        source = BundleSource(stored, inventory)
        selected = select_images(inventory, request.only)
        images = resolve_images(selected, source, request.policy.check, engine)
        check_present(selected, images, source, "nothing is served")
        references += [str(image.reference) for image in inventory.images]
        for listed, image in zip(selected, images, strict=True):
            name = request.names.map_reference(listed.reference, listed.digest, listed.rename)
            registry.add(stored.location, name, image, source, listed.platforms)
    for rule in find_unused_rules(request.names.rules, references):
        engine.emit(WarningIssued(f"rename rule {rule[:200]!r} matches no image of the bundles"))
    registry.check_names()
    return registry.content, opened


class _Registry:
    """The content under construction, and the names that are used for different digests."""

    def __init__(self) -> None:
        self.content = ServedContent()
        self._bundles: dict[tuple[str, str], str] = {}
        self._conflicts: dict[str, str] = {}

    def add(
        self,
        bundle: str,
        name: TargetName,
        image: ResolvedImage,
        source: BundleSource,
        platforms: Sequence[str],
    ) -> None:
        """Add an image of ``bundle`` and its referrers under ``name``."""
        repository = self.content.repositories.setdefault(name.path, ServedRepository())
        repository.add(image, source)
        tags = [(name.tag, image.graph), *((item.tag, item.graph) for item in image.referrers)]
        for tag, graph in tags:
            if tag is None:
                continue
            expected = repository.manifests[graph.root.digest.text]
            stored = repository.tags.setdefault(tag, expected)
            first = self._bundles.setdefault((name.path, tag), bundle)
            if stored.digest != expected.digest:
                full_name = f"{name.path}:{tag}"
                self._conflicts[full_name] = (
                    f"{full_name}: {stored.digest} in {first}, {expected.digest} in {bundle}"
                )
        self.content.images.append(
            ServedImage(
                name,
                image.display_name,
                bundle,
                image.graph.root.digest,
                sum(node.size or 0 for node in find_unique_blobs([image]).values()),
                tuple(platforms),
            )
        )

    def check_names(self) -> None:
        """Raise ConflictError if a name is that of two different images."""
        if self._conflicts:
            raise ConflictError(
                "\n".join(
                    ["names of different images; nothing is served", *self._conflicts.values()]
                ),
                subjects=tuple(self._conflicts),
                hint="separate them with --keep-host or --names, or serve the bundles one by one",
            )
