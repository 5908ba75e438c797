"""The image that a command looks into: its platform, and the access to its source."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options.option import option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.files import ImageFiles
    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.runtime.context import CommandContext, CommandRun
    from bundler.ports import Source

platform = option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="Select the image for this platform from an index (default: this machine's).",
)
"""``--platform``, in the parameter ``platform``; None if unset."""

all_platforms = option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="Read only the image for this platform from an index (default: all platforms).",
)
"""``--platform`` of commands that read all platforms, in the parameter ``platform``."""


@contextmanager
def open_images(
    context: CommandContext, location: str, access: AccessOptions
) -> Iterator[tuple[OpenImages, CommandRun]]:
    """Open the bundle or the images at ``location`` for one run of a command."""
    from bundler.bundle.audit import images  # noqa: PLC0415 - not for --help

    with context.run(1) as run:
        options = access.create_open_options(run, location)
        with images.open_images(location, options) as found:
            yield found, run


@dataclass(frozen=True, slots=True)
class OpenPlatform:
    """The image of one platform, and its open source."""

    name: str
    source: Source
    image: PlatformImage
    run: CommandRun


@contextmanager
def open_platform(
    context: CommandContext,
    location: str,
    image: str | None,
    platform: str | None,
    access: AccessOptions,
) -> Iterator[OpenPlatform]:
    """Open one image at ``location``, for one platform, for one run of a command."""
    from bundler.bundle.audit.platforms import select_platform  # noqa: PLC0415 - not for --help
    from bundler.oci.platform import Platform  # noqa: PLC0415 - as above

    requested = None if platform is None else Platform.parse(platform)
    with open_images(context, location, access) as (images, run):
        found = images.find(image)
        resolved = found.resolve(run.emit)
        selected = select_platform(resolved, requested, context.detect_platform())
        yield OpenPlatform(found.name, found.source, selected, run)


@contextmanager
def open_files(
    context: CommandContext,
    location: str,
    image: str | None,
    platform: str | None,
    access: AccessOptions,
) -> Iterator[ImageFiles]:
    """Open the files of one image at ``location``, for one platform, for one run of a command."""
    from bundler.bundle.audit.files import ImageFiles  # noqa: PLC0415 - not for --help

    with open_platform(context, location, image, platform, access) as found:
        yield ImageFiles(found.source, found.image.manifest, found.run.cancellation)


def read_packages(
    context: CommandContext,
    location: str,
    image: str | None,
    platform: str | None,
    access: AccessOptions,
) -> list[ImagePackages]:
    """Read the packages of one image or all images at ``location``, for one or all platforms."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not for --help

    from bundler.bundle.audit.packages import image_packages  # noqa: PLC0415 - as above
    from bundler.bundle.audit.platforms import list_platforms, select_platform  # noqa: PLC0415
    from bundler.oci.platform import Platform  # noqa: PLC0415 - as above

    requested = None if platform is None else Platform.parse(platform)
    with open_images(context, location, access) as (images, run):
        selected = []
        for item in images.images if image is None else [images.find(image)]:
            resolved = item.resolve(run.emit)
            if requested is None:
                found = list(list_platforms(resolved))
            else:
                found = [select_platform(resolved, requested, context.detect_platform())]
            selected += [(item.name, item.source, each) for each in found]
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            return image_packages.read_packages(selected, executor, run.cancellation)
