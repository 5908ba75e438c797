"""The images that a command looks into: the access to their source, and the trust in a bundle."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundler.cli.output import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.audit.listings.files import ImageFiles
    from bundler.bundle.audit.location import Location
    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.cli.options.auditing.contents_cache import CacheOptions
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.options.signing.bundle_trust import TrustOptions
    from bundler.cli.runtime.context import CommandContext, CommandRun
    from bundler.oci.platform import Platform
    from bundler.ports import Source
    from bundler.trust.bundle_trust import BundleTrust


@contextmanager
def open_images(
    context: CommandContext,
    location: Location,
    access: AccessOptions,
    trust: TrustOptions | None = None,
    identity_files: Sequence[Path] = (),
) -> Iterator[tuple[OpenImages, CommandRun]]:
    """Open the bundle or the images at ``location`` for one run of a command.

    ``identity_files`` decrypt an archive.

    Signatures of a bundle are verified only if ``trust`` has keys or a trust file; otherwise, a
    note states that the bundle is not authenticated. A note names the signers that were verified.
    """
    trusted = read_trust(context, trust)
    with context.run(1) as run:
        if identity_files or location.words == ("-",):
            from bundler.cli.runtime.bundle_location import open_stream  # noqa: PLC0415 - on request

            stream = open_stream(run, location.paths, identity_files)
            location = replace(location, stream=stream)
        with open_in_run(run, location, access, trusted) as found:
            yield found, run


@contextmanager
def open_in_run(
    run: CommandRun, location: Location, access: AccessOptions, trust: BundleTrust | None
) -> Iterator[OpenImages]:
    """Open the bundle or the images at ``location``; a bundle may have to be authenticated."""
    from bundler.bundle.audit import images  # noqa: PLC0415 - not for --help

    options = access.create_open_options(run, str(location))
    with images.open_images(location, options, trust) as found:
        yield found
    if found.bundle is not None and not run.context.options.quiet:
        labels = [
            text.format_key_id(key.id, found.bundle.trust.names) for key in found.bundle.accepted
        ]
        text.print_note(f"{location}: signed by {', '.join(labels)}")
    elif found.inventory is not None and found.bundle is None:
        note_unauthenticated(run.context, location)


def read_trust(context: CommandContext, trust: TrustOptions | None) -> BundleTrust | None:
    """Return the trust that the options state; None if they state none.

    The trust file of the site is not used by default: a reviewer also looks into bundles that the
    site does not trust.
    """
    if trust is None or not (trust.key_files or trust.trust_file or trust.threshold):
        return None
    from bundler.cli.runtime import trusted_keys  # noqa: PLC0415 - rare

    return trusted_keys.read_trust(context, trust, read_only=True)


def note_unauthenticated(context: CommandContext, subject: object) -> None:
    """Print a note that the signatures of ``subject`` were not verified."""
    if not context.options.quiet:
        text.print_note(
            f"{subject}: not authenticated, since no key was given (--key, --trust): its inventory"
            " may have been changed"
        )


@dataclass(frozen=True, slots=True)
class OpenPlatform:
    """The image of one platform, and its open source."""

    name: str
    source: Source
    image: PlatformImage
    images: OpenImages
    """The images at the same location."""
    run: CommandRun

    @contextmanager
    def open_files(self, cache: CacheOptions) -> Iterator[ImageFiles]:
        """Open the files of the image, with the listings of layers that ``cache`` has."""
        from bundler.bundle.audit.listings.files import ImageFiles  # noqa: PLC0415 - not for --help

        cancellation = self.run.cancellation
        with cache.open(self.run.context) as kept:
            yield ImageFiles(self.source, self.image.manifest, cancellation, kept=kept)


@contextmanager
def open_platform(
    context: CommandContext,
    location: Location,
    image: str | None,
    platform: str | None,
    access: AccessOptions,
    *,
    trust: TrustOptions | None = None,
) -> Iterator[OpenPlatform]:
    """Open one image at ``location``, for one platform, for one run of a command."""
    from bundler.bundle.audit.platforms import select_platform  # noqa: PLC0415 - not for --help

    requested = parse_platform(platform)
    with open_images(context, location, access, trust) as (images, run):
        found = images.find(image)
        resolved = found.resolve(run.emit)
        selected = select_platform(resolved, requested, context.detect_platform())
        yield OpenPlatform(found.name, found.source, selected, images, run)


def parse_platform(value: str | None) -> Platform | None:
    """Parse the value of ``--platform``; None if unset.

    Raises:
        UsageError: it is not a platform.
    """
    from bundler.oci.platform import Platform  # noqa: PLC0415 - not for --help

    return None if value is None else Platform.parse(value)


def describe_authentication(images: OpenImages) -> dict[str, bool]:
    """Return the member ``authenticated`` of a JSON document; no member without a bundle."""
    return {} if images.inventory is None else {"authenticated": images.is_authenticated}


def read_platform_packages(
    context: CommandContext,
    location: Location,
    image: str | None,
    platform: str | None,
    access: AccessOptions,
    *,
    trust: TrustOptions | None = None,
    cache: CacheOptions,
) -> ImagePackages:
    """Read the packages of one image at ``location``, for one platform."""
    from bundler.bundle.audit.layers.layer_reader import LayerReader  # noqa: PLC0415 - not for --help
    from bundler.bundle.audit.packages import image_packages  # noqa: PLC0415 - as above

    with (
        open_platform(context, location, image, platform, access, trust=trust) as found,
        cache.open(context) as kept,
        LayerReader(found.run.cancellation, kept) as reader,
    ):
        return image_packages.read_packages([(found.name, found.source, found.image)], reader)[0]


def read_packages(
    context: CommandContext,
    location: Location,
    names: Sequence[str],
    platform: str | None,
    access: AccessOptions,
    *,
    trust: TrustOptions | None = None,
    cache: CacheOptions,
    claims: bool = False,
) -> list[ImagePackages]:
    """Read the packages of images at ``location``, for one or all platforms.

    ``names`` identify the images, as ``OpenImages.find`` describes; empty: all images.

    With ``claims``, SBOMs and attestations that came with the images are read and compared.
    """
    from bundler.bundle.audit.layers.layer_reader import LayerReader  # noqa: PLC0415 - not for --help
    from bundler.bundle.audit.packages import image_packages  # noqa: PLC0415 - as above
    from bundler.bundle.audit.packages.claims.claims import read_claims  # noqa: PLC0415
    from bundler.bundle.audit.platforms import list_platforms, select_platform  # noqa: PLC0415

    requested = parse_platform(platform)
    with open_images(context, location, access, trust) as (images, run):
        resolved = []
        for item in [images.find(name) for name in names] or images.images:
            one = item.resolve(run.emit, referrers=claims)
            if requested is None:
                selected = list(list_platforms(one))
            else:
                selected = [select_platform(one, requested, context.detect_platform())]
            resolved += [(one, (item.name, item.source, each)) for each in selected]
        with cache.open(context) as kept, LayerReader(run.cancellation, kept) as reader:
            found = image_packages.read_packages([each for _, each in resolved], reader)
        if not claims:
            return found
        return [
            replace(each, claims=tuple(read_claims(one, each)))
            for (one, _), each in zip(resolved, found, strict=True)
        ]
