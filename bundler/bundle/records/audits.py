"""An audit at a site, whose evidence and verdict are kept in the records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.authenticate import AuthenticatedBundle
from bundler.bundle.format.signatures.bundle_signatures import read_signatures
from bundler.bundle.records import site
from bundler.bundle.records.evidence.draft import EvidenceDraft
from bundler.bundle.records.import_session import describe_bundle
from bundler.bundle.records.state import streams

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.records.site import Records


def record_audit(
    path: Path,
    images: OpenImages,
    audited: AuditedLocation,
    verdict: Verdict | None,
    operator: Mapping[str, str],
) -> Records:
    """Keep the evidence of an audit in the records in ``path``, and add an entry to the log.

    Without rules, there is no ``verdict``. An audit changes the state of no stream, and a bundle
    need not be authenticated: the entry states whether it is. The caller has called
    ``site.prepare``.

    Raises:
        LostRecordsError: the records are damaged.
        LimitError: the evidence is too large.
        LockedError, DamagedEvidenceError, NoSpaceError, MediumError: it cannot be written.
        BundlerError: the signatures of the bundle cannot be read.
    """
    draft = EvidenceDraft(path)
    members, bundle = {}, images.bundle
    raw, inventory, files = images.raw, images.inventory, images.files
    if bundle is None and raw is not None and inventory is not None and files is not None:
        # Its signatures are kept even if they were not verified.
        bundle = AuthenticatedBundle(
            raw=raw,
            inventory=inventory,
            signers=(),
            is_authenticated=False,
            signatures=read_signatures(files),
        )
    if bundle is not None:
        draft.add_bundle(bundle)
        members = describe_bundle(bundle)
    draft.add_location(audited, verdict)
    members |= {
        "location": images.location,
        "authenticated": images.is_authenticated,
        "images": len(audited.images),
        "evidence": draft.finish().text,
        "operator": dict(operator),
    }
    if verdict is not None:
        members |= {
            "rules": verdict.rules.digest.text,
            "passed": not verdict.failures,
            "findings": len(verdict.findings),
            "waived": len(verdict.waived),
        }
    return site.append(path, streams.AUDIT, audited.now, members)
