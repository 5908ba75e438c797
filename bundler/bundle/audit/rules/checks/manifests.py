"""Rules about platforms, sizes, types and referrers, which manifests state."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.rule import Problem, Rule, Setting
from bundler.errors import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform

_SBOM_TYPES = ("spdx", "cyclonedx", "syft")


def _check_artifact(
    allowed: tuple[str, ...], _: AuditedLocation, image: AuditedImage
) -> Iterator[Problem]:
    for kind in image.artifact_types:
        if kind not in allowed:
            part = "is" if image.is_artifact else "contains"
            yield Problem(
                f"{part} an artifact of the type {kind or '(none)'}, which is not audited"
            )


def _check_platforms(
    required: tuple[str, ...], allowed: tuple[str, ...], _: AuditedLocation, image: AuditedImage
) -> Iterator[Problem]:
    if image.is_artifact:
        return
    found = [platform.name for platform in image.platforms]
    for name in required:
        if name not in found:
            yield Problem(f"lacks the platform {name}")
    for name in found:
        if allowed and name not in allowed:
            yield Problem(f"has the platform {name}, which is not allowed")


def _check_size(
    limit: int, _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    if platform.size is None:
        yield Problem("the sizes of its layers are not stated", is_unchecked=True)
    elif platform.size > limit:
        yield Problem(f"has {format_size(platform.size)} (at most {format_size(limit)})")


def _check_total(limit: int, location: AuditedLocation) -> Iterator[Problem]:
    if location.total_size is None:
        yield Problem("the sizes are not known", is_unchecked=True)
    elif location.total_size > limit:
        yield Problem(
            f"all images have {format_size(location.total_size)} (at most {format_size(limit)})"
        )


def _check_sbom(_: AuditedLocation, image: AuditedImage) -> Iterator[Problem]:
    if not image.is_artifact and not any(
        word in kind.lower() for kind in image.referrer_types for word in _SBOM_TYPES
    ):
        yield Problem("has no SBOM among its referrers")


RULES = (
    Rule(
        "artifact-types",
        "Every artifact that is not a container image has one of the listed types. This rule also"
        " applies, without `allow`, if the file contains any rule about configs or contents, which"
        " do not apply to artifacts.",
        "Add the type to `allow`, or leave the artifact out.",
        scope="image",
        depth="manifests",
        create=lambda settings: partial(_check_artifact, settings.get_texts("allow")),
        settings=(Setting("allow", "texts", "Artifact types (default: none)."),),
    ),
    Rule(
        "platforms",
        "Each image has the required platforms, and no other than the allowed ones.",
        "Change `platforms` in the bundle manifest.",
        scope="image",
        depth="manifests",
        create=lambda settings: partial(
            _check_platforms, settings.get_texts("require"), settings.get_texts("allow")
        ),
        settings=(
            Setting("require", "texts", "Platforms that each image has: `linux/amd64`."),
            Setting("allow", "texts", "Platforms that an image may have (default: any)."),
        ),
    ),
    Rule(
        "image-size",
        "No image is larger than the limit, for one platform, as stored.",
        "Use a smaller image, or raise `max`.",
        scope="platform",
        depth="manifests",
        create=lambda settings: partial(_check_size, settings.get_size("max")),
        settings=(Setting("max", "size", "The maximum size: `500MiB`.", required=True),),
    ),
    Rule(
        "total-size",
        "All images together are not larger than the limit; shared layers count once.",
        "Leave images out, or raise `max`.",
        scope="location",
        depth="manifests",
        create=lambda settings: partial(_check_total, settings.get_size("max")),
        settings=(Setting("max", "size", "The maximum size: `20GiB`.", required=True),),
    ),
    Rule(
        "sbom",
        "Each image has an SBOM (SPDX, CycloneDX or Syft) among its referrers, by its artifact"
        " type. Its content is a claim of its author.",
        "Export the image with all referrers, or ask its author for an SBOM.",
        scope="image",
        depth="manifests",
        create=lambda _: _check_sbom,
    ),
)
