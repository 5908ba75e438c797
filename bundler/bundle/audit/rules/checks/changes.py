"""Rules about changes since a former bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.finding import Place
from bundler.bundle.audit.rules.rule import Problem, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation

_NO_INVENTORY = Problem("the location is not a bundle", is_unchecked=True)
_NO_FORMER = Problem("no former bundle was given (--since)", is_unchecked=True)


def _check_unchanged(location: AuditedLocation, image: AuditedImage) -> Iterator[Problem]:
    if location.former is None:
        yield _NO_FORMER
    elif image.listed is None:
        yield _NO_INVENTORY
    else:
        from bundler.bundle.audit.differences.image_lists import (  # noqa: PLC0415 - only with --since
            describe_image,
        )

        former = location.former.get(image.name)
        now = describe_image(image.listed)
        if former is None:
            yield Problem("is new")
        elif former.digest != now.digest:
            yield Problem(f"had the digest {former.digest}, and has {now.digest}")
        elif former.attached is not None and former.attached != now.attached:
            yield Problem("has other referrers or signature files")


def _check_removed(location: AuditedLocation) -> Iterator[Problem]:
    if location.former is None:
        yield _NO_FORMER
    elif location.inventory is None:
        yield _NO_INVENTORY
    else:
        from bundler.bundle.audit.differences.image_lists import (  # noqa: PLC0415 - only with --since
            compare_lists,
            list_inventory,
        )

        changes = compare_lists(location.former, list_inventory(location.inventory))
        for image in changes.removed:
            yield Problem("is no longer in the bundle", Place(image=image.name))


RULES = (
    Rule(
        "unchanged",
        "No image is new or has changed since the bundle that `--since` names, except those of"
        " `except`: its digest, and the digests of its referrers and signature files.",
        "Compare the bundles with airbundle diff, or add the image to `except`.",
        scope="image",
        depth="names",
        create=lambda _: _check_unchanged,
    ),
    Rule(
        "nothing-removed",
        "Every image of the bundle that `--since` names is still in the bundle.",
        "Compare the bundles with airbundle diff, or waive the finding.",
        scope="location",
        depth="names",
        create=lambda _: _check_removed,
    ),
)
