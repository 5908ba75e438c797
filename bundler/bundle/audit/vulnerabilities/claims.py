"""Add the statements of senders (VEX) to the vulnerabilities that they are about."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from bundler.bundle.audit.vulnerabilities.result import StatedClaim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.packages.claims.claims import Claim
    from bundler.bundle.audit.vulnerabilities.result import Vulnerability

MAX_CLAIMS = 50
"""The maximum number of statements of the sender about one vulnerability that are kept."""
_ACCEPTED = ("not_affected", "fixed")


def add_claims(
    found: tuple[Vulnerability, ...], claims: Sequence[Claim]
) -> tuple[Vulnerability, ...]:
    """Return the vulnerabilities with the first statements of the sender about each.

    Those of trusted signers decide whether it is accepted.
    """
    by_id: dict[str, list[StatedClaim]] = {}
    for claim in claims:
        if claim.document is not None and claim.is_about:
            for statement in claim.document.statements:
                stated = StatedClaim(claim.digest, statement, claim.signer)
                for identifier in statement.ids:
                    by_id.setdefault(identifier, []).append(stated)
    if not by_id:
        return found
    added = []
    for item in found:
        about = [
            stated
            for identifier in item.ids
            for stated in by_id.get(identifier, ())
            if stated.statement.is_about(item.ids, item.package.purl)
        ]
        accepted = _find_acceptance(item, about)
        first = dict.fromkeys(islice(filter(None, (accepted, *about)), MAX_CLAIMS))
        added.append(replace(item, claims=tuple(first), accepted=accepted))
    return tuple(added)


def _find_acceptance(item: Vulnerability, about: Sequence[StatedClaim]) -> StatedClaim | None:
    """Return a statement by which a vulnerability is accepted; None: it is not.

    If trusted statements contradict one another, it is not. An advisory with several CVE IDs is
    accepted only if the statements name the advisory, or each of the CVEs.
    """
    purl = item.package.purl
    trusted = [stated for stated in about if stated.signer and stated.statement.covers(purl)]
    if not trusted or any(stated.statement.status not in _ACCEPTED for stated in trusted):
        return None
    named = {identifier for stated in trusted for identifier in stated.statement.ids}
    cves = {identifier for identifier in item.ids if identifier.startswith("CVE-")}
    return trusted[0] if item.id in named or len(cves) < 2 or cves <= named else None
