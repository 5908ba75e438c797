"""Statements of senders that a vulnerability does, or does not, affect a product (VEX).

https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md,
https://cyclonedx.org/docs/1.6/json/#vulnerabilities_items_analysis
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.audit.packages.purl import parse_purl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

Status = Literal["not_affected", "affected", "fixed", "under_investigation"]
"""The statuses of OpenVEX."""
MAX_STATEMENTS = 20_000
"""The maximum number of statements of one document that are read."""
_MAX_IDS = 50
_MAX_TEXT = 200
_STATES: dict[str, Status] = {
    "not_affected": "not_affected",
    "false_positive": "not_affected",
    "exploitable": "affected",
    "affected": "affected",
    "fixed": "fixed",
    "resolved": "fixed",
    "resolved_with_pedigree": "fixed",
    "in_triage": "under_investigation",
    "under_investigation": "under_investigation",
}
"""The statuses of OpenVEX, and the states of CycloneDX with the same meaning."""
_IMAGES = ("oci", "docker")
_DISTRIBUTED = ("apk", "deb", "rpm")
"""Types of packages whose namespace is the distribution."""


@dataclass(frozen=True, slots=True)
class VexStatement:
    """A statement about one vulnerability. Untrusted."""

    ids: tuple[str, ...]
    """The IDs of the vulnerability."""
    status: Status
    justification: str
    """The reason as stated, or empty."""
    packages: tuple[tuple[str, str, str], ...] = ()
    """Type, name and version of the packages that it names by package URLs; the version may be
    empty."""
    image: str = ""
    """The version of the image that it names by a package URL, usually a digest; may be empty."""
    is_about_image: bool = False
    """Whether it names an image and no part of it."""

    def is_about(self, ids: Iterable[str], purl: str) -> bool:
        """Return whether it is about one of these IDs, and may be about the package with this URL.

        A statement without packages may be about each one.
        """
        identity = parse_purl(purl)
        if identity is None or not set(ids).intersection(self.ids):
            return False
        kind, name, version = identity
        return not self.packages or any(
            stated[0] == kind
            and stated[1].rpartition("/")[2] == name.rpartition("/")[2]
            and stated[2] in ("", version)
            for stated in self.packages
        )

    def is_about_other_image(self, digests: Collection[str]) -> bool:
        """Return whether it names an image by a digest that is not one of ``digests``."""
        return self.image.startswith("sha256:") and self.image not in digests

    def covers(self, purl: str) -> bool:
        """Return whether it names the package with this URL, or all of the image.

        A statement that names neither by a package URL covers nothing.
        """
        identity = parse_purl(purl)
        if identity is None or self.is_about_image:
            return self.is_about_image
        kind, name, version = identity
        if kind in _DISTRIBUTED:
            name = name.rpartition("/")[2]
        return any(
            stated[0] == kind
            and (stated[1].rpartition("/")[2] if kind in _DISTRIBUTED else stated[1]) == name
            and stated[2] in ("", version)
            for stated in self.packages
        )


def parse_openvex(value: dict[str, Any]) -> Iterator[VexStatement]:
    """Yield the statements of a document of OpenVEX, one for each product.

    Those that are malformed raise TypeError.
    """
    return islice(_list_openvex(value), MAX_STATEMENTS)


def _list_openvex(value: dict[str, Any]) -> Iterator[VexStatement]:
    for item in value.get("statements", ())[:MAX_STATEMENTS]:
        stated = item.get("vulnerability")
        named = stated if isinstance(stated, dict) else {"name": stated}
        for product in (item.get("products") or [{}])[:MAX_STATEMENTS]:
            parts = product.get("subcomponents") if isinstance(product, dict) else ()
            yield from _create(
                [named.get("name"), named.get("@id"), *named.get("aliases", ())],
                item.get("status"),
                item.get("justification") or item.get("impact_statement"),
                _read_purl(product),
                [_read_purl(part) for part in parts or ()],
            )


def parse_cyclonedx(value: dict[str, Any]) -> Iterator[VexStatement]:
    """Yield the analyses of an SBOM or a VEX document of CycloneDX, one for each reference."""
    return islice(_list_cyclonedx(value), MAX_STATEMENTS)


def _list_cyclonedx(value: dict[str, Any]) -> Iterator[VexStatement]:
    items = value.get("vulnerabilities", ())[:MAX_STATEMENTS]
    components = [*value.get("components", ())] if items else []
    components.append((value.get("metadata") or {}).get("component") or {})
    purls = {item.get("bom-ref"): item.get("purl") for item in components}
    for item in items:
        analysis = item.get("analysis") or {}
        for affected in (item.get("affects") or [{}])[:MAX_STATEMENTS]:
            reference = affected.get("ref")
            yield from _create(
                [item.get("id"), *(other.get("id") for other in item.get("references", ()))],
                analysis.get("state"),
                analysis.get("justification") or analysis.get("detail"),
                purls.get(reference) or reference,
            )


def _read_purl(product: object) -> object:
    """Return the package URL or another identifier of a product of OpenVEX."""
    if not isinstance(product, dict):
        return product
    identifiers = product.get("identifiers")
    purl = identifiers.get("purl") if isinstance(identifiers, dict) else None
    return purl or product.get("@id")


def _create(
    ids: list[Any],
    status: object,
    justification: object,
    product: object,
    parts: Sequence[object] = (),
) -> Iterator[VexStatement]:
    """Yield the statement about a product or its parts, unless it has no ID or known status."""
    known = _STATES.get(status) if isinstance(status, str) else None
    texts = tuple(text[:_MAX_TEXT] for text in ids[:_MAX_IDS] if isinstance(text, str))
    if known is None or not texts:
        return
    own = parse_purl(product) if isinstance(product, str) else None
    is_image = own is not None and own[0] in _IMAGES
    found = [parse_purl(text) for text in parts or (product,) if isinstance(text, str)]
    reason = justification if isinstance(justification, str) else ""
    yield VexStatement(
        texts,
        known,
        " ".join(reason[: 4 * _MAX_TEXT].split())[:_MAX_TEXT],
        tuple(item for item in found if item is not None and item[0] not in _IMAGES),
        own[2] if is_image and own is not None else "",
        is_about_image=is_image and not parts,
    )
