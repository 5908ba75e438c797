"""The file ``state.json`` of the records: the state of each stream, and the last entry included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler.bundle.records.permissions import get_file_mode
from bundler.bundle.records.state.streams import read_streams
from bundler.bundle.records.state.trust_file_state import MEMBER, TrustFileState
from bundler.content.files import atomic_write
from bundler.errors import NotFoundError
from bundler.oci.json import strict
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from bundler.bundle.records.log.log import Log
    from bundler.bundle.records.state.streams import Streams
    from bundler.content.files.safe_directory import Directory
    from bundler.oci.digest import Digest

NAME = "state.json"
TYPE = "airbundle/state/v1"
MAX_STATE = 16 * 1024 * 1024


def read(
    directory: Directory,
) -> tuple[int, Digest | None, Streams, TrustFileState | None] | None:
    """Return the number of log entries in the state, the digest of the last one, and what they are.

    These are the streams and the trust file (None: none, or not in the state of an older version).
    None: there is no state.

    Raises:
        MalformedError, LimitError: the file is not a valid state.
    """
    try:
        raw = directory.read(NAME, limit=MAX_STATE)
    except NotFoundError:
        return None
    table = Table.parse(raw, str(directory.path / NAME), limit=MAX_STATE)
    if table.value.get("_type") != TYPE:
        raise table.problem(f"not the state of a site (expected {TYPE!r})")
    table.refuse_unknown(("_type", "log", "streams", MEMBER))
    log = table.table("log")
    lines = log.integer("entries")
    head = log.digest("head") if lines else None
    trust_file = TrustFileState.from_json(table.table(MEMBER)) if MEMBER in table else None
    return lines, head, read_streams(table.table("streams")), trust_file


def write(
    directory: Directory, log: Log, streams: Streams, trust_file: TrustFileState | None = None
) -> None:
    """Write the state after all entries of ``log``.

    Raises:
        NoSpaceError, MediumError: it cannot be written; a previous one is unchanged.
    """
    position: dict[str, Any] = {"entries": len(log.entries)}
    if log.head is not None:
        position["head"] = log.head.text
    value: dict[str, Any] = {
        "_type": TYPE,
        "log": position,
        "streams": {name: state.to_json() for name, state in streams.items()},
    }
    if trust_file is not None:
        value[MEMBER] = trust_file.to_json()
    atomic_write.write_bytes_in(
        directory, NAME, strict.dumps(value) + b"\n", mode=get_file_mode(directory)
    )
