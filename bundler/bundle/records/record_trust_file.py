"""Record versions of the trust file of a site that are stored without an import."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.records import site
from bundler.bundle.records.state import streams as states
from bundler.bundle.records.state.trust_file_state import MEMBER, TrustFileState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.trust.trust_files.trust_store import TrustStore


def record_first(
    path: Path, trust: TrustStore, *, moment: datetime, reason: str, operator: Mapping[str, str]
) -> None:
    """Record that a first trust file replaces another one, whose versions no longer count.

    ``operator`` is the member of that name in the entry.

    Raises:
        LostRecordsError, LockedError, NoSpaceError, MediumError: as for ``site.append``.
    """
    described = TrustFileState(trust.version, trust.digest).to_json()
    members = {MEMBER: described, "reason": reason, "operator": dict(operator)}
    site.append(path, states.TRUST, moment, members)


def record_update(path: Path, trust: TrustStore, *, operator: Mapping[str, str]) -> None:
    """Record that a newer version was stored, if it follows on the one that was used last.

    From then on, an older one is refused, even if no bundle has been imported since. The versions
    of another trust file are not recorded, nor those of a host that imports nothing. ``operator``
    is the member of that name in the entry.

    Raises:
        LostRecordsError, LockedError, NoSpaceError, MediumError: as for ``site.append``.
    """
    known = site.read(path).trust_file if os.path.lexists(path) else None
    if known is None or known.version >= trust.version:
        return
    if trust.follows_on(known.version, known.digest):
        described = TrustFileState(trust.version, trust.digest).to_json()
        members = {MEMBER: described, "operator": dict(operator)}
        site.append(path, states.TRUST_UPDATE, datetime.now(UTC), members)
