"""The trust file that a site used last: what the entries of its log state about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from bundler.bundle.records.state import streams as states

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.bundle.records.log.log import Entry
    from bundler.oci.digest import Digest
    from bundler.oci.json.table import Table

MEMBER = "trustFile"
"""The member of entries of the log, and of the state."""


@dataclass(frozen=True, slots=True)
class TrustFileState:
    """The latest version of the trust file that was used or stored."""

    version: int
    digest: Digest

    @classmethod
    def from_json(cls, table: Table) -> Self:
        """Read the member of an entry or of the state.

        Raises:
            MalformedError: a member is missing or invalid.
        """
        return cls(table.integer("version"), table.digest("digest"))

    def to_json(self) -> dict[str, Any]:
        """Return the member of an entry or of the state."""
        return {"version": self.version, "digest": self.digest.text}


def replay(entries: Iterable[Entry], known: TrustFileState | None = None) -> TrustFileState | None:
    """Return the trust file after ``entries``, which follow on ``known``; None: none was used.

    Entries of imports of older versions do not contain it.

    Raises:
        MalformedError: a member of an entry is missing or invalid.
    """
    for entry in entries:
        if MEMBER not in entry.table:
            known = None if entry.event == states.RESTORE else known
            continue
        new = TrustFileState.from_json(entry.table.table(MEMBER))
        begins = entry.event in (states.TRUST, states.RESTORE)
        if begins or known is None or new.version > known.version:
            known = new
    return known
