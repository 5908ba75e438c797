"""Read the layers of images for rules, each layer once for all images and all rules."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.layers.scan import scan_layer
from bundler.bundle.audit.packages.image_packages import merge_layers
from bundler.bundle.audit.packages.layer_packages import LayerPackages, PackageCollector
from bundler.bundle.audit.rules.audited import (
    UNREADABLE,
    AuditedImage,
    AuditedPlatform,
    PlatformContents,
)
from bundler.bundle.audit.rules.noted_files import FileCollector, LayerFiles, merge_files
from bundler.copy.parallel import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from bundler.bundle.audit.layers.scan import Member
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source


@dataclass(frozen=True, slots=True)
class LayerContents:
    """The statements and the noted files of one layer."""

    packages: LayerPackages
    files: LayerFiles


def read_contents(
    images: Sequence[tuple[Source, AuditedImage]], executor: Executor, cancellation: Cancellation
) -> tuple[AuditedImage, ...]:
    """Read the layers of images, and return the images with their contents.

    A layer that cannot be read as a layer, such as an encrypted one, is stated by the platforms.

    Raises:
        IntegrityError: a layer does not match its digest.
        BundlerError: a source cannot be read.
    """
    tasks: dict[Digest, Callable[[], LayerContents | str]] = {}
    for source, image in images:
        for platform in image.platforms:
            for layer in platform.image.manifest.layers:
                tasks.setdefault(layer.digest, partial(_try_layer, source, layer, cancellation))
    read = dict(zip(tasks, run_all(executor, list(tasks.values()), cancellation), strict=True))
    return tuple(
        replace(
            image,
            platforms=tuple(_add_contents(image.name, item, read) for item in image.platforms),
        )
        for _, image in images
    )


def read_layer(source: Source, layer: Descriptor, cancellation: Cancellation) -> LayerContents:
    """Read a layer to its end, and verify it.

    Raises:
        BundlerError: the layer is missing, damaged or beyond a limit, see ``scan_layer``.
    """
    packages, files = PackageCollector(layer.digest), FileCollector(layer.digest)

    def visit(member: Member, content: Iterator[memoryview]) -> None:
        packages.visit(member, files.visit(member, content))

    diff_id = scan_layer(source, layer, visit, cancellation)
    found = packages.finish(source, layer, diff_id, cancellation)
    return LayerContents(found, files.finish())


def _try_layer(
    source: Source, layer: Descriptor, cancellation: Cancellation
) -> LayerContents | str:
    """Read a layer; return the reason if it is absent, or no layer that can be listed."""
    try:
        return read_layer(source, layer, cancellation)
    except UNREADABLE as error:
        return error.message


def _add_contents(
    name: str, platform: AuditedPlatform, read: dict[Digest, LayerContents | str]
) -> AuditedPlatform:
    layers = []
    for layer in platform.image.manifest.layers:
        found = read[layer.digest]
        if isinstance(found, str):
            return replace(platform, unreadable=found)
        layers.append(found)
    contents = PlatformContents(
        merge_layers(name, platform.image, [layer.packages for layer in layers]),
        merge_files((layer.files, layer.packages.changes) for layer in layers),
        tuple(layer.packages.diff_id.text for layer in layers),
        any(layer.files.is_truncated for layer in layers),
    )
    return replace(platform, contents=contents)
