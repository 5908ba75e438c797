"""Records of OSV.

https://ossf.github.io/osv-schema/
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MAX_ALIASES = 200
MAX_ECOSYSTEM = 200
_MAX_TOKENS = 1_000_000
_LARGE = 1024 * 1024
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_MAX_SUMMARY = 240
_ID = re.compile(r"[\x21-\x7e]{1,100}")
_CVE = re.compile(r"CVE-\d{4}-\d{4,}", re.ASCII)


class RecordError(Exception):
    """A record that does not follow the schema, as far as it is read."""


@dataclass(frozen=True, eq=False)
class Record:
    """A record, with its members as parsed JSON."""

    id: str
    modified: str
    """``2024-01-31T12:00:00``, in UTC."""
    is_withdrawn: bool
    members: dict[str, Any]

    @property
    def affected(self) -> list[Any]:
        """The entries of ``affected``.

        Raises:
            RecordError: the member is not an array of objects.
        """
        entries = self.members.get("affected") or []
        if not isinstance(entries, list) or not all(isinstance(item, dict) for item in entries):
            raise RecordError("affected is not an array of objects")
        return entries

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other IDs of the vulnerability, with CVE IDs first."""
        return self._read_ids("aliases")

    @property
    def related_cves(self) -> tuple[str, ...]:
        """The CVE IDs that the record is about: of itself, and of ``aliases`` and ``upstream``."""
        texts = (self.id, *self._read_ids("aliases"), *self._read_ids("upstream"))
        return tuple(dict.fromkeys(cve for text in texts for cve in _CVE.findall(text)))

    @property
    def summary(self) -> str:
        """The summary, or the beginning of the details, as one line."""
        for key in ("summary", "details"):
            text = self.members.get(key)
            if isinstance(text, str) and text.strip():
                line = " ".join(text[: 4 * _MAX_SUMMARY].split())
                return line if len(line) <= _MAX_SUMMARY else line[: _MAX_SUMMARY - 1] + "…"
        return ""

    def _read_ids(self, key: str) -> tuple[str, ...]:
        values = self.members.get(key) or []
        if not isinstance(values, list):
            raise RecordError(f"{key} is not an array")
        texts = [item for item in values if isinstance(item, str) and _ID.fullmatch(item)]
        texts.sort(key=lambda text: not _CVE.fullmatch(text))
        return tuple(dict.fromkeys(texts[:MAX_ALIASES]))


def parse_record(raw: bytes) -> Record:
    """Parse a record.

    Unlike documents that are signed or executed, records are read leniently: other members, and
    repeated ones, are allowed.

    Raises:
        RecordError: it is not a record, nested too deeply, or has too many values.
    """
    if len(raw) > _LARGE and sum(map(raw.count, (b",", b"[", b"{"))) > _MAX_TOKENS:
        raise RecordError(f"too many values (expected at most {_MAX_TOKENS:,})")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise RecordError("not JSON, or nested too deeply") from None
    if not isinstance(value, dict):
        raise RecordError("not an object")
    identifier, modified = value.get("id"), value.get("modified")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise RecordError("id is missing, or not valid")
    if not isinstance(modified, str) or not _TIME.fullmatch(modified):
        raise RecordError("modified is missing, or not a time in UTC")
    withdrawn = value.get("withdrawn")
    if withdrawn is not None and not isinstance(withdrawn, str):
        raise RecordError("withdrawn is not a time")
    return Record(identifier, modified[:19], bool(withdrawn), value)
