"""The two sides of a comparison: find out what they are, open them, and compare them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from bundler import transports
from bundler.bundle.audit.differences import image_lists
from bundler.bundle.audit.differences.image_lists import ListDifference
from bundler.bundle.audit.differences.images import ComparedImage, ImageDifference, compare_images
from bundler.bundle.audit.differences.registry_images import list_registry
from bundler.bundle.audit.differences.target import compare_target
from bundler.bundle.audit.differences.target_difference import TargetDifference, TargetRequest
from bundler.bundle.audit.image_properties import read_properties
from bundler.bundle.audit.layers.layer_reader import LayerReader
from bundler.bundle.audit.listings.files import ImageFiles, ListingCache
from bundler.bundle.audit.packages.image_packages import read_packages
from bundler.bundle.audit.platforms import select_platform
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.inventory import Inventory
from bundler.bundle.format.reading.open_files import is_bundle
from bundler.bundle.importing.target import DirectoryTarget, RegistryTarget, parse_target
from bundler.cli.options.registry_access import AccessOptions
from bundler.cli.runtime.importing import import_target
from bundler.cli.runtime.inspecting import opened_images
from bundler.errors import NotFoundError, UsageError
from bundler.transports.source_reference import split_registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from bundler.bundle.audit.differences.image_lists import ImageList
    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.audit.location import Location
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.cli.options.auditing.contents_cache import CacheOptions
    from bundler.cli.options.import_names import ImportNameOptions
    from bundler.cli.runtime.context import CommandRun
    from bundler.config.registry_access import RegistryOverride
    from bundler.gocompat.regexp import GoExpression
    from bundler.ports import Source
    from bundler.trust.bundle_trust import BundleTrust

Difference: TypeAlias = ListDifference | ImageDifference | TargetDifference


class Comparison:
    """Compares two sides in one run of a command."""

    def __init__(
        self, run: CommandRun, access: AccessOptions, trust: BundleTrust | None, cache: CacheOptions
    ) -> None:
        self._run = run
        self._access = access
        self._cache = cache
        self._trust = trust
        """Authenticates bundles; None: signatures are not verified."""

    def compare_lists(
        self, old: Location, new: Location, patterns: tuple[GoExpression, ...]
    ) -> ListDifference:
        """Compare the images of two bundles, documents or references whose names match."""
        before, after = (
            {
                name: image
                for name, image in self._read_list(location).items()
                if not patterns or any(pattern.search(name) for pattern in patterns)
            }
            for location in (old, new)
        )
        return image_lists.compare_lists(before, after)

    def _read_list(self, location: Location) -> ImageList:
        text, path = str(location), location.paths[0]
        if text.endswith("/") and split_registry(text) is not None:
            target = parse_target(text)
            assert isinstance(target, RegistryTarget)  # noqa: S101 - as split
            override = self._access.create_override()
            by_host = {} if override is None else {target.domain: override}
            options = self._run.create_open_options(by_host)
            return list_registry(target, options, self._run.create_engine_options())
        if not path.is_file() or is_bundle(path):
            with self._open(location) as images:
                if images.inventory is None:
                    return image_lists.list_source(images)
                return image_lists.list_inventory(images.inventory)
        if self._trust is not None:
            raise UsageError(
                f"{path}: the signatures of a single file are not verified here",
                hint="specify the directory of the bundle; for a receipt, use verify-receipt",
            )
        found = image_lists.read_document(path)
        opened_images.note_unauthenticated(self._run.context, path)
        return image_lists.list_inventory(found) if isinstance(found, Inventory) else found

    def compare_images(
        self,
        old: Location,
        new: Location,
        names: tuple[str | None, str | None],
        platform: str | None,
        *,
        files: bool,
    ) -> ImageDifference | ListDifference:
        """Compare two images; ``names`` are None if the references determine them.

        If they do not, all images of both are compared by name.
        """
        with ExitStack() as stack:
            sides = [stack.enter_context(self._open(location)) for location in (old, new)]
            if names == (None, None) and any(len(side.images) > 1 for side in sides):
                return image_lists.compare_lists(*map(image_lists.list_source, sides))
            found = []
            for side, name in zip(sides, names, strict=True):
                only_one = side.inventory is None and len(side.images) == 1
                image = side.find(None if only_one else name)
                selected = select_platform(
                    image.resolve(self._run.emit),
                    opened_images.parse_platform(platform),
                    self._run.context.detect_platform(),
                )
                found.append((image.name, image.source, selected))
            is_same = found[0][2].digest == found[1][2].digest
            return compare_images(*self._read_images(found, files=files and not is_same))

    def _read_images(
        self, found: Sequence[tuple[str, Source, PlatformImage]], *, files: bool
    ) -> list[ComparedImage]:
        """Read the configs of images; with ``files``, also their packages and layers."""
        cancellation = self._run.cancellation
        properties = [read_properties(*image) for image in found]
        if not files:
            return [
                ComparedImage(stated, image, None, None)
                for stated, (_, _, image) in zip(properties, found, strict=True)
            ]
        with (
            self._cache.open(self._run.context) as kept,
            LayerReader(cancellation, kept) as reader,
        ):
            packages = read_packages(found, reader)
        cache = ListingCache()
        return [
            ComparedImage(
                stated, image, ImageFiles(source, image.manifest, cancellation, cache), own
            )
            for stated, (_, source, image), own in zip(properties, found, packages, strict=True)
        ]

    def compare_target(
        self, bundle: Location, target: str, names: ImportNameOptions, *, deep: bool, extra: bool
    ) -> TargetDifference:
        """Compare a bundle with a target of an import."""
        settings = import_target.read_target(target, names, self._run.context.environment)
        if isinstance(settings.target, DirectoryTarget):
            directory = settings.target.directory
            if (directory / bundle_paths.INVENTORY).exists():
                raise UsageError(
                    f"{settings.target}: a bundle, and not a target",
                    hint=f"compare two bundles: airbundle diff {bundle} {directory}",
                )
        override = self._access.create_override()
        if settings.override is not None:
            override = override.with_defaults(settings.override) if override else settings.override
        by_host: dict[str, RegistryOverride] = {}
        if not isinstance(settings.target, RegistryTarget):
            self._access.refuse_registry_options(target)
        elif override is not None:
            by_host[settings.target.domain] = override
        patterns = names.parse_patterns()
        with self._open(bundle) as images:
            selected = [
                image
                for image in images.images
                if not patterns or any(pattern.search(image.name) for pattern in patterns)
            ]
            if patterns and not selected:
                raise NotFoundError(f"{bundle}: no image matches --only")
            request = TargetRequest(
                images=selected,
                target=settings.target,
                options=self._run.create_open_options(by_host),
                names=replace(settings.names, prefix=settings.target.prefix),
                deep=deep,
                extra=extra,
            )
            return compare_target(request, self._run.create_engine_options())

    def _open(self, location: Location) -> AbstractContextManager[OpenImages]:
        """Open a bundle or a reference; options for a registry do not concern a local side."""
        if location.is_path:
            return opened_images.open_in_run(self._run, location, AccessOptions(), self._trust)
        access = self._access
        if transports.find_registry_host(str(location)) is None:
            local = (access.daemon_host, access.shared_blob_dir)
            access = AccessOptions(daemon_host=local[0], shared_blob_dir=local[1])
        return opened_images.open_in_run(self._run, location, access, None)
