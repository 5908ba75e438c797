"""Rules about the statements of the inventory: what was left out, and who signed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.finding import Place
from bundler.bundle.audit.rules.rule import Problem, Rule, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation

_NO_INVENTORY = Problem("no inventory lists the image", is_unchecked=True)


def _check_authenticated(location: AuditedLocation) -> Iterator[Problem]:
    if not location.is_authenticated:
        yield Problem("no trusted key was given (--key, --trust)", is_unchecked=True)


def _check_complete(location: AuditedLocation) -> Iterator[Problem]:
    if location.inventory is None:
        yield Problem("the location is not a bundle, so no inventory states it", is_unchecked=True)
    elif not location.inventory.complete:
        yield Problem("the export left out images or layers that it could not read")


def _check_left_out(_: AuditedLocation, image: AuditedImage) -> Iterator[Problem]:
    if image.listed is None:
        yield _NO_INVENTORY
        return
    for name in image.listed.left_behind:
        yield Problem(f"the referrer {name} is not in the bundle")
    for layer in image.listed.absent_layers or ():
        yield Problem(f"the foreign layer {layer.digest} is not in the bundle")


def _check_unlisted(location: AuditedLocation) -> Iterator[Problem]:
    if location.unlisted is None or isinstance(location.unlisted, str):
        reason = location.unlisted or "the directory was not read"
        yield Problem(reason, is_unchecked=True)
        return
    for path in location.unlisted:
        yield Problem("no image of the inventory needs this file", Place(path=path))


def _check_signed(
    signers: tuple[str, ...], _: AuditedLocation, image: AuditedImage
) -> Iterator[Problem]:
    """Compare the verified signatures of an image with the accepted signers.

    A key is accepted by its ID or at least 16 digits of it, an identity by its full text.
    """
    if image.listed is None:
        yield _NO_INVENTORY
        return
    found = image.listed.verified
    if not found:
        yield Problem("the inventory states no verified signature")
    elif signers and not any(
        signer == item.identity
        or (len(signer) >= 16 and (item.key or "").startswith(signer))
        or (item.policy is not None and signer == item.policy.text)
        for item in found
        for signer in signers
    ):
        labels = ", ".join(dict.fromkeys(item.label for item in found))
        yield Problem(f"is signed by {labels}, none of which is accepted")


RULES = (
    Rule(
        "bundle-authenticated",
        "The inventory is signed by trusted keys. The keys are those of the command, which fails if"
        " they did not sign; without keys, the rule is not evaluated.",
        "Audit the bundle with --key or --trust.",
        scope="location",
        depth="names",
        create=lambda _: _check_authenticated,
    ),
    Rule(
        "bundle-complete",
        "The export could read all images and layers.",
        "Export the bundle again; the inventory says that it is incomplete.",
        scope="location",
        depth="names",
        create=lambda _: _check_complete,
    ),
    Rule(
        "nothing-left-out",
        "No referrer, signature or foreign layer of an image was left out of the bundle.",
        "Export the image with all referrers and with `foreignLayers: fetch`.",
        scope="image",
        depth="names",
        create=lambda _: _check_left_out,
    ),
    Rule(
        "nothing-unlisted",
        "The directory of the bundle contains no file that the inventory does not need, and"
        " `index.json` no other name. Files that operating systems create are left out.",
        "Remove the file, or export the bundle again, which removes content that is not listed.",
        scope="location",
        depth="names",
        create=lambda _: _check_unlisted,
        extras=frozenset({"directory"}),
    ),
    Rule(
        "signed",
        "The exporting side verified a signature of each image. The inventory states this, so it is"
        " as trustworthy as the signer of the bundle; an import verifies signatures itself with a"
        " `policy.json`.",
        "Export the image with `verify` in the bundle manifest.",
        scope="image",
        depth="names",
        create=lambda settings: partial(_check_signed, settings.get_texts("by")),
        settings=(
            Setting(
                "by",
                "texts",
                "Accepted signers: IDs of keys (at least 16 digits), identities, or digests of"
                " policies (default: any).",
            ),
        ),
    ),
)
