"""The image that a command looks into: its platform, and the access to its source."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options.option import option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.files import ImageFiles
    from bundler.bundle.audit.images import OpenImages
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
