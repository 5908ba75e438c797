"""Merge the records about one vulnerability of a package, such as those of PyPA and GitHub."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.audit.vulnerabilities.levels import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.bundle.audit.vulnerabilities.result import Vulnerability


def merge_aliases(found: Iterable[Vulnerability]) -> tuple[Vulnerability, ...]:
    """Return one vulnerability for each package and group of aliases, the most severe first.

    Two records belong together if one names the other as an alias, or has the same single CVE ID.
    Advisories about several CVE IDs are left as they are.
    """
    groups: dict[tuple[object, ...], list[Vulnerability]] = {}
    for item in found:
        cves = [text for text in item.ids if text.startswith("CVE-")]
        own = cves[0] if len(cves) == 1 else item.id
        names = sorted({own, *(text for text in item.ids if not text.startswith("CVE-"))})
        key = next(
            (
                (item.package, item.ecosystem, name)
                for name in names
                if (item.package, item.ecosystem, name) in groups
            ),
            None,
        )
        members = groups[key] if key is not None else []
        if item not in members:
            members.append(item)
        for name in names:
            groups[item.package, item.ecosystem, name] = members
    distinct = {id(members): members for members in groups.values()}
    merged = sorted(
        map(_merge, distinct.values()),
        key=lambda item: (
            -LEVELS.index(item.severity.level),
            -(item.severity.score or 0),
            item.package.full_name,
            item.package.version,
            item.id,
            item.package.path,
        ),
    )
    return tuple(merged)


def _merge(members: list[Vulnerability]) -> Vulnerability:
    members.sort(key=lambda item: (item.severity.score is None, not item.summary, item.id))
    first = members[0]
    if len(members) == 1:
        return first
    ids = dict.fromkeys(text for item in members for text in item.ids if text != first.id)
    return replace(
        first,
        aliases=tuple(sorted(ids, key=lambda text: not text.startswith("CVE-"))),
        severity=max(
            (item.severity for item in members),
            key=lambda item: (LEVELS.index(item.level), item.score or 0),
        ),
        fixed=tuple(dict.fromkeys(version for item in members for version in item.fixed)),
        summary=next((item.summary for item in members if item.summary), ""),
        modified=max(item.modified for item in members),
        exploit=next((item.exploit for item in members if item.exploit), None),
        probability=max(
            (item.probability for item in members if item.probability is not None), default=None
        ),
    )
