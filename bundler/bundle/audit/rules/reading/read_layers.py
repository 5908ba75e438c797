"""Read the layers of images for rules, each layer once for all images and all rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.audit.layers.noted_files import merge_files
from bundler.bundle.audit.packages.image_packages import merge_layers
from bundler.bundle.audit.rules.audited import (
    UNREADABLE,
    AuditedImage,
    AuditedPlatform,
    PlatformContents,
)
from bundler.bundle.audit.rules.rule import is_among
from bundler.errors import BundlerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.bundle.audit.layers.contents import LayerContents
    from bundler.bundle.audit.layers.layer_reader import LayerReader
    from bundler.bundle.audit.packages.claims.claims import Claim
    from bundler.bundle.audit.packages.claims.vex_signers import VexSigner
    from bundler.oci.digest import Digest
    from bundler.ports import Source


def read_contents(
    images: Sequence[tuple[Source, AuditedImage]],
    reader: LayerReader,
    *,
    with_claims: bool = False,
    signers: Sequence[VexSigner] = (),
) -> tuple[AuditedImage, ...]:
    """Read the layers of images, and return the images with their contents.

    A layer that cannot be read as a layer, such as an encrypted one, is stated by the platforms.
    The claims that came with the images are read on request, and statements of ``signers`` about
    vulnerabilities are verified.

    Raises:
        IntegrityError: a layer does not match its digest.
        BundlerError: a source cannot be read.
    """
    layers = [
        (source, layer)
        for source, image in images
        for platform in image.platforms
        for layer in platform.image.manifest.layers
    ]
    read = reader.try_read(layers, UNREADABLE)
    found = []
    for _, image in images:
        own = [signer for signer in signers if is_among(image.reference, signer.images)]
        platforms = []
        for item in image.platforms:
            platform = _add_contents(image.name, item, read)
            contents = platform.contents
            if with_claims and contents is not None and image.resolved is not None:
                from bundler.bundle.audit.packages.claims.claims import read_claims  # noqa: PLC0415 - only here

                claims: tuple[Claim, ...] | str
                try:
                    claims = tuple(read_claims(image.resolved, contents.packages, own))
                except UNREADABLE as error:
                    claims = error.message
                platform = replace(platform, contents=replace(contents, claims=claims))
            platforms.append(platform)
        found.append(replace(image, platforms=tuple(platforms)))
    return tuple(found)


def _add_contents(
    name: str, platform: AuditedPlatform, read: Mapping[Digest, LayerContents | BundlerError]
) -> AuditedPlatform:
    layers = []
    for layer in platform.image.manifest.layers:
        found = read[layer.digest]
        if isinstance(found, BundlerError):
            return replace(platform, unreadable=found.message)
        layers.append(found)
    contents = PlatformContents(
        merge_layers(name, platform.image, [layer.packages for layer in layers]),
        merge_files((layer.files, layer.packages.changes) for layer in layers),
        tuple(layer.packages.diff_id.text for layer in layers),
        any(layer.files.is_truncated for layer in layers),
    )
    return replace(platform, contents=contents)
