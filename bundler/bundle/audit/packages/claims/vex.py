"""Statements of senders that a vulnerability does, or does not, affect a product (VEX).

https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md,
https://cyclonedx.org/docs/1.6/json/#vulnerabilities_items_analysis
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.audit.packages.purl import parse_purl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


@dataclass(frozen=True, slots=True)
class VexStatement:
    """A statement about one vulnerability. Untrusted."""

    ids: tuple[str, ...]
    """The IDs of the vulnerability."""
    status: Status
    justification: str
    """The reason as stated, or empty."""
    packages: tuple[tuple[str, str, str], ...]
    """Type, name and version of the packages that it is about, a version may be empty; no
    packages: the image."""

    def is_about(self, ids: Iterable[str], purl: str) -> bool:
        """Return whether it is about one of these IDs, and about the package with this URL."""
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


def parse_openvex(value: dict[str, Any]) -> Iterator[VexStatement]:
    """Yield the statements of a document of OpenVEX; those that are malformed raise TypeError."""
    for item in value.get("statements", ())[:MAX_STATEMENTS]:
        stated = item.get("vulnerability")
        named = stated if isinstance(stated, dict) else {"name": stated}
        products = [
            part
            for product in item.get("products", ())
            for part in (
                (product.get("subcomponents") or [product])
                if isinstance(product, dict)
                else [product]
            )
        ]
        yield from _create(
            [named.get("name"), named.get("@id"), *named.get("aliases", ())],
            item.get("status"),
            item.get("justification") or item.get("impact_statement"),
            [part.get("@id") if isinstance(part, dict) else part for part in products],
        )


def parse_cyclonedx(value: dict[str, Any]) -> Iterator[VexStatement]:
    """Yield the analyses of an SBOM or a VEX document of CycloneDX."""
    items = value.get("vulnerabilities", ())[:MAX_STATEMENTS]
    components = value.get("components", ()) if items else ()
    purls = {item.get("bom-ref"): item.get("purl") for item in components}
    for item in items:
        analysis = item.get("analysis") or {}
        references = [affected.get("ref") for affected in item.get("affects", ())]
        yield from _create(
            [item.get("id"), *(other.get("id") for other in item.get("references", ()))],
            analysis.get("state"),
            analysis.get("justification") or analysis.get("detail"),
            [purls.get(reference) or reference for reference in references],
        )


def _create(
    ids: list[Any], status: object, justification: object, products: list[Any]
) -> Iterator[VexStatement]:
    """Yield the statement, unless it has no ID or no known status."""
    known = _STATES.get(status) if isinstance(status, str) else None
    texts = tuple(text[:_MAX_TEXT] for text in ids[:_MAX_IDS] if isinstance(text, str))
    found = [parse_purl(text) for text in products if isinstance(text, str)]
    packages = tuple(item for item in found if item is not None and item[0] not in _IMAGES)
    if known is not None and texts:
        reason = justification if isinstance(justification, str) else ""
        line = " ".join(reason[: 4 * _MAX_TEXT].split())[:_MAX_TEXT]
        yield VexStatement(texts, known, line, packages)
