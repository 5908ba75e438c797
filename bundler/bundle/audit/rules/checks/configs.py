"""Rules about the config of an image: its user, its age, its labels and its base."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.rule import Problem, Rule, Setting, is_in_scope
from bundler.errors import InvalidReferenceError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform

_CLOCK_SKEW = timedelta(days=1)
_UNUSED_DATES = 1980
"""Builds that are reproducible state a date before this year, such as 1970-01-01."""


def _check_user(
    _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    if platform.properties.runs_as_root:
        user = platform.properties.user
        yield Problem(f"runs as root (the user is {user!r})" if user else "runs as root")


def _check_age(
    days: int, location: AuditedLocation, _: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    text = platform.properties.created
    try:
        created = datetime.fromisoformat(text or "")
    except ValueError:
        created = None
    if created is not None and created.tzinfo is None:
        created = created.replace(tzinfo=UTC)
    if created is None:
        stated = f"{text[:40]!r} is not a date" if text else "the config states none"
        yield Problem(f"the date of creation is not known: {stated}", is_unchecked=True)
    elif created.year < _UNUSED_DATES or created > location.now + _CLOCK_SKEW:
        yield Problem(f"the date of creation, {text}, cannot be true", is_unchecked=True)
    elif (age := location.now - created) > timedelta(days=days):
        yield Problem(f"was created {age.days} days ago (at most {days})")


def _check_labels(
    required: tuple[str, ...], _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    for label in required:
        if not platform.properties.labels.get(label):
            yield Problem(f"lacks the label {label}")


def _check_base(
    allowed: tuple[str, ...], _: AuditedLocation, __: AuditedImage, platform: AuditedPlatform
) -> Iterator[Problem]:
    base = platform.properties.base
    if base is None:
        yield Problem("the manifest does not state the base image", is_unchecked=True)
        return
    try:
        reference = ImageReference.parse(base)
    except InvalidReferenceError:
        yield Problem(f"the base image {base[:160]!r} is not a reference", is_unchecked=True)
        return
    if not any(is_in_scope(reference, scope) for scope in allowed):
        yield Problem(f"has the base image {reference}, which is not allowed")


RULES = (
    Rule(
        "not-root",
        "The config of each image states a user other than root.",
        "Set USER in the Dockerfile, or waive it if the deployment sets another user.",
        scope="platform",
        depth="manifests",
        create=lambda _: _check_user,
    ),
    Rule(
        "max-age",
        "Each image was created at most so many days ago, as its config states. Many reproducible"
        " builds state no true date.",
        "Use a newer image.",
        scope="platform",
        depth="manifests",
        create=lambda settings: partial(_check_age, settings.get_number("days")),
        settings=(Setting("days", "days", "The maximum age in days.", required=True),),
    ),
    Rule(
        "required-labels",
        "Each image has the listed labels, with a value.",
        "Add the label in the Dockerfile.",
        scope="platform",
        depth="manifests",
        create=lambda settings: partial(_check_labels, settings.get_texts("labels")),
        settings=(Setting("labels", "texts", "The names of the labels.", required=True),),
    ),
    Rule(
        "allowed-bases",
        "Each image states an allowed base image in the annotation"
        " `org.opencontainers.image.base.name`, which is a claim of its author.",
        "Build the image from an allowed base image, and state it in the annotation.",
        scope="platform",
        depth="manifests",
        create=lambda settings: partial(_check_base, settings.get_texts("allow")),
        settings=(
            Setting(
                "allow", "texts", "Registries, repositories or full names of images.", required=True
            ),
        ),
    ),
)
