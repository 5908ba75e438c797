"""Rules about the names of images."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.rule import Problem, Rule, Setting, is_in_scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation

_NO_NAME = Problem("the image has no name in a registry", is_unchecked=True)


def _check_sources(
    allowed: tuple[str, ...], _: AuditedLocation, image: AuditedImage
) -> Iterator[Problem]:
    if image.reference is None:
        yield _NO_NAME
    elif not any(is_in_scope(image.reference, scope) for scope in allowed):
        yield Problem(f"comes from {image.reference.repository}, which is not allowed")


def _check_latest(_: AuditedLocation, image: AuditedImage) -> Iterator[Problem]:
    if image.reference is None:
        yield _NO_NAME
    elif (image.reference.tag or "latest") == "latest" and (
        image.reference.tag or not image.reference.digest
    ):
        yield Problem("has the tag latest, which says nothing about the version")


def _check_pinned(_: AuditedLocation, image: AuditedImage) -> Iterator[Problem]:
    if image.reference is None:
        yield _NO_NAME
    elif image.reference.digest is None:
        yield Problem("was requested by a tag, which can be moved, and not by a digest")


RULES = (
    Rule(
        "allowed-sources",
        "Images come from the listed registries and repositories only.",
        "Request the image from an allowed registry, or add its repository to `allow`.",
        scope="image",
        depth="names",
        create=lambda settings: partial(_check_sources, settings.get_texts("allow")),
        settings=(
            Setting(
                "allow",
                "texts",
                "Registries, repositories or the first parts of them: `quay.io/prometheus`.",
                required=True,
            ),
        ),
    ),
    Rule(
        "no-latest",
        "No image has the tag `latest`, which is also the default.",
        "Request the image by the tag of a version.",
        scope="image",
        depth="names",
        create=lambda _: _check_latest,
    ),
    Rule(
        "digest-pinned",
        "The reference of each image contains its digest.",
        "Request the image as NAME:TAG@DIGEST.",
        scope="image",
        depth="names",
        create=lambda _: _check_pinned,
    ),
)
