"""The rule that SBOMs agree with the packages that were found in an image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, get_args

from bundler.bundle.audit.packages.image_packages import DISTRIBUTION_TYPES
from bundler.bundle.audit.packages.package import PackageType
from bundler.bundle.audit.packages.purl import parse_purl
from bundler.bundle.audit.rules.checks.packages import list_unreadable
from bundler.bundle.audit.rules.finding import Place
from bundler.bundle.audit.rules.rule import Problem, Rule, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bundler.bundle.audit.packages.claims.claims import Claim
    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation, AuditedPlatform

_TYPES: tuple[str, ...] = get_args(PackageType)


def _check_agreement(
    types: tuple[str, ...],
    limits: Mapping[str, int],
    _: AuditedLocation,
    __: AuditedImage,
    platform: AuditedPlatform,
) -> Iterator[Problem]:
    claims = platform.contents.claims if platform.contents else None
    if claims is None or isinstance(claims, str):
        yield Problem(claims or "the SBOMs were not read", is_unchecked=True)
        return
    sboms = 0
    for claim in claims:
        if claim.document is None:
            yield Problem(f"the document {claim.digest}: {claim.problem}", is_unchecked=True)
        elif claim.document.packages is not None and claim.is_about:
            sboms += 1
            for kind, problems in _compare(claim, types).items():
                if len(problems) > limits[kind]:
                    yield from problems
    if not sboms:
        yield Problem("has no SBOM about this image")
    yield from list_unreadable(platform)


def _compare(claim: Claim, types: tuple[str, ...]) -> dict[str, list[Problem]]:
    """Return the differences between an SBOM and the packages that were found, by their kind."""
    claimed, found = _group(claim.not_found, types), _group(claim.not_claimed, types)
    sbom = f"the SBOM {claim.digest.text[:19]}"
    problems: dict[str, list[Problem]] = {"notFound": [], "notClaimed": [], "otherVersion": []}
    for name in sorted(claimed.keys() | found.keys()):
        stated, actual = ", ".join(claimed.get(name, ())), ", ".join(found.get(name, ()))
        place = Place(package=name[1])
        if stated and actual:
            text = f"{sbom} states {stated[:300]}, and the image has {actual[:300]}"
            problems["otherVersion"].append(Problem(text, place))
        elif stated:
            text = f"{sbom} states {stated[:300]}, which was not found in the image"
            problems["notFound"].append(Problem(text, place))
        else:
            text = f"{sbom} does not state {actual[:300]}, which was found in the image"
            problems["notClaimed"].append(Problem(text, place))
    return problems


def _group(purls: Iterable[str], types: tuple[str, ...]) -> dict[tuple[str, str], list[str]]:
    """Return the package URLs of these types, by type and name as in ``Package.full_name``.

    The namespace of a distribution is left out, because tools differ in it.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for purl in purls:
        identity = parse_purl(purl)
        if identity is not None and identity[0] in types:
            kind, name, _ = identity
            if kind in DISTRIBUTION_TYPES:
                name = name.rpartition("/")[2]
            elif kind == "maven":
                name = ":".join(name.rsplit("/", 1))
            groups.setdefault((kind, name), []).append(purl)
    return groups


_LIMITS = {
    "notFound": "How many packages an SBOM may state that were not found (default: 0).",
    "notClaimed": "How many packages may be found that an SBOM does not state (default: 0).",
    "otherVersion": "How many packages may have another version than an SBOM states (default: 0).",
}

RULES = (
    Rule(
        "sbom-agrees",
        "Each image has an SBOM, in CycloneDX or SPDX, and each of its SBOMs states the packages"
        " that are found in the image, with their versions. Signatures of SBOMs are not verified.",
        "List the differences with airbundle packages --claims, and ask the author of the image"
        " for an SBOM of this build.",
        scope="platform",
        depth="contents",
        create=lambda settings: partial(
            _check_agreement,
            settings.get_texts("types") or _TYPES,
            {name: settings.get_number(name) for name in _LIMITS},
        ),
        settings=(
            *(Setting(name, "number", description) for name, description in _LIMITS.items()),
            Setting(
                "types",
                "texts",
                "The types of packages that are compared (default: all that are found).",
                choices=_TYPES,
            ),
        ),
        extras=frozenset({"claims"}),
    ),
)
