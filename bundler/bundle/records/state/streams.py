"""The state of the streams at a site: what the entries of its log amount to.

The state of a stream changes only with bundles whose signatures were verified, and by no key that
the operator stated in place of the trust file of the site.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from bundler.bundle.format.inventory.inventory import is_stream_name
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.bundle.records.log.log import Entry
    from bundler.oci.digest import Digest
    from bundler.oci.json.table import Table

IMPORT, RESET, RESTORE, TRUST = "import", "reset", "restore", "trust"
"""Events that change the state of streams; ``TRUST``: the trust file was replaced."""
AUDIT, REFUSED, UNDO_START, UNDO = "audit", "refused", "undo-start", "undo"
TRUST_UPDATE = "trust-update"
"""Events that change none; ``REFUSED``: a bundle was authenticated, but refused; ``UNDO_START``:
names at the target are about to be changed back; ``UNDO``: they were; ``TRUST_UPDATE``: a newer
version of the trust file was stored."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StreamState:
    """The highest serial of a stream that this site has imported."""

    serial: int
    inventory: Digest
    """The digest of its ``bundle.json``."""
    seen: datetime
    """The latest time seen: of the clock at an import, or at which a bundle was created."""
    trust: int | None = None
    """The latest version of the trust file at an import; None: all keys were specified."""

    @classmethod
    def from_json(cls, table: Table) -> Self:
        """Read a state from a log or a state file.

        Raises:
            MalformedError: a member is missing or invalid.
        """
        return cls(
            serial=table.integer("serial"),
            inventory=table.digest("inventory"),
            seen=timestamps.parse_utc(table.text("seen"), table.subject),
            trust=table.integer("trust") if "trust" in table else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON; ``trust`` is absent if unset."""
        value = {
            "serial": self.serial,
            "inventory": self.inventory.text,
            "seen": timestamps.format_utc(self.seen),
        }
        return value if self.trust is None else value | {"trust": self.trust}


Streams = dict[str, StreamState]
"""The state of each stream that the site has adopted, by name."""


def replay(entries: Iterable[Entry], streams: Mapping[str, StreamState] | None = None) -> Streams:
    """Return the state after ``entries``, which follow on the state ``streams``.

    Raises:
        MalformedError: a member of an entry is missing or invalid.
    """
    state = dict(streams or {})
    for entry in entries:
        table = entry.table
        if entry.event == RESTORE:
            state = read_streams(table.table("streams"))
        elif entry.event == RESET:
            state.pop(table.text("stream"), None)
        elif entry.event == TRUST:
            state = {name: replace(item, trust=None) for name, item in state.items()}
        elif is_change(entry):
            # A lower serial leaves the recorded one in place.
            name, new = table.text("stream"), StreamState.from_json(table)
            known = state.get(name)
            if known is not None:
                seen, trust = max(known.seen, new.seen), max(known.trust or 0, new.trust or 0)
                latest = new if new.serial > known.serial else known
                new = replace(latest, seen=seen, trust=trust or None)
            state[name] = new
    return state


def is_change(entry: Entry) -> bool:
    """Whether an entry of the log can change the serial of a stream."""
    if entry.event == IMPORT:
        table = entry.table
        return table.flag("authenticated") and not table.flag("stateUnchanged", default=False)
    return entry.event in (RESET, RESTORE)


def read_streams(table: Table) -> Streams:
    """Read the states of several streams, by name.

    Raises:
        MalformedError: a member is missing or invalid.
    """
    for name in table.value:
        if not is_stream_name(name):
            raise table.problem(f"{name[:80]!r} is not a valid stream name")
    return {name: StreamState.from_json(table.table(name)) for name in table.value}


def find_last_seen(streams: Mapping[str, StreamState]) -> datetime:
    """Return the latest time that the site has seen; 1970 if it has adopted no stream."""
    return max((state.seen for state in streams.values()), default=_EPOCH)
