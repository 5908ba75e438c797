"""Whether the entry of a record about a package contains a version.

https://ossf.github.io/osv-schema/#evaluation
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.vulnerabilities.database.osv import RecordError
from bundler.bundle.audit.vulnerabilities.versions.orders import find_order
from bundler.bundle.audit.vulnerabilities.versions.version_error import VersionError

if TYPE_CHECKING:
    from bundler.bundle.audit.vulnerabilities.targets import Target

_ORDERED = ("ECOSYSTEM", "SEMVER")
"""The types of ranges that are ordered; those of commits are not."""
_KINDS = ("introduced", "fixed", "last_affected", "limit")
_RPM = ("Red Hat", "Rocky Linux", "AlmaLinux", "SUSE", "openSUSE")
_MODULES = (".module+", ".module_el")
MAX_FIXED = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing a package with an entry of a record."""

    is_affected: bool = False
    fixed: tuple[str, ...] = ()
    """The versions that fix it, one for each range that contains the version."""
    uncertain: str = ""
    """Why the comparison is not certain; empty: it is."""


def compare(target: Target, entry: dict[str, Any]) -> Comparison:
    """Compare a package with an entry that names it.

    Raises:
        RecordError: the entry does not follow the schema.
    """
    base = target.ecosystem.base
    versions, ranges = entry.get("versions") or [], entry.get("ranges") or []
    if not isinstance(versions, list) or not isinstance(ranges, list):
        raise RecordError("versions or ranges is not an array")
    is_listed = target.version in versions
    fixed: list[str] = []
    is_affected, reason = is_listed, ""
    try:
        key = find_order(base)(target.version)
    except VersionError as error:
        return Comparison(is_listed, uncertain="" if is_listed else str(error))
    if not all(isinstance(item, dict) for item in ranges):
        raise RecordError("a range is not an object")
    ordered = [item for item in ranges if item.get("type") in _ORDERED]
    for item in ordered:
        try:
            contained, fixes = _is_in_range(target, key, _read_events(item))
        except VersionError as error:
            reason = str(error)
            continue
        is_affected |= contained
        fixed += fixes
    if not is_affected and not ordered:
        is_affected = _is_equal_to_one(base, key, versions)
    if not (versions or ordered):
        reason = "the record states neither versions nor a range of them"
    known = tuple(dict.fromkeys(fixed))[:MAX_FIXED]
    return Comparison(is_affected, known, "" if is_affected else reason)


def _is_equal_to_one(base: str, key: Any, versions: list[Any]) -> bool:  # noqa: ANN401
    """Return whether a list has the version in another spelling, such as 1.0 for 1.0.0."""
    for version in versions:
        try:
            if isinstance(version, str) and find_order(base)(version) == key:
                return True
        except VersionError:
            continue
    return False


def _read_events(item: dict[str, Any]) -> list[tuple[str, str]]:
    events = item.get("events")
    if not isinstance(events, list):
        raise RecordError("events is not an array")
    found = []
    for event in events:
        kinds = [kind for kind in _KINDS if isinstance(event, dict) and kind in event]
        if len(kinds) != 1 or not isinstance(event[kinds[0]], str):
            raise RecordError("an event has no version")
        found.append((kinds[0], event[kinds[0]]))
    return found


def _is_in_range(
    target: Target,
    key: Any,  # noqa: ANN401 - compared only
    events: list[tuple[str, str]],
) -> tuple[bool, list[str]]:
    """Return whether a range contains the version, and the next version that fixes it.

    Raises:
        VersionError: a version in the range has no certain place in the order.
    """
    create_key = find_order(target.ecosystem.base)
    limits = [version for kind, version in events if kind == "limit"]
    if limits and "*" not in limits and not any(key < create_key(limit) for limit in limits):
        return False, []
    lowest = any(event == ("introduced", "0") for event in events)
    points = []
    is_rpm = target.ecosystem.base in _RPM
    epoch = target.version.partition(":")[0] if ":" in target.version else "0"
    for kind, version in events:
        if kind != "limit" and (kind, version) != ("introduced", "0"):
            if is_rpm and epoch != "0" and ":" not in version:
                raise VersionError(version, "the record states no epoch")
            if is_rpm and any(mark in version or mark in target.version for mark in _MODULES):
                raise VersionError(version, "only for one stream of a module")
            points.append((create_key(version), kind, version))
    points.sort(key=lambda point: point[0])
    is_affected, fixed = lowest, []
    for place, kind, version in points:
        if place > key:
            if is_affected and kind == "fixed":
                fixed.append(version)
            if is_affected:
                break
        elif kind == "introduced":
            is_affected = True
        elif kind == "fixed" or place < key:
            is_affected = False
    return is_affected, fixed
