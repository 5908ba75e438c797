"""Ranges of versions, in the order of the package manager."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bundler.bundle.audit.vulnerabilities.versions.orders import ORDERS
from bundler.bundle.audit.vulnerabilities.versions.version_error import VersionError
from bundler.errors import UsageError

_CONDITION = re.compile(r"\s*(<=|>=|<|>|=)\s*([^\s<>=,]+)\s*")


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Conditions that a version has to meet, all of them."""

    conditions: tuple[tuple[str, str], ...]
    """Comparisons, such as ``<``, each with a version."""

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Parse conditions such as ``>=2.0,<2.15``.

        Raises:
            UsageError: a condition is malformed.
        """
        found = [_CONDITION.fullmatch(item) for item in text.split(",")]
        conditions = tuple((item[1], item[2]) for item in found if item is not None)
        if len(conditions) < len(found):
            raise UsageError(
                f"{text[:80]!r} is not a range of versions (expected for example '>=2.0,<2.15')"
            )
        return cls(conditions)

    def contains(self, package_type: str, version: str) -> bool | None:
        """Whether a version is in the range; None: its place in the order is not certain."""
        create_key = ORDERS.get(package_type)
        if create_key is None:
            return None
        try:
            key = create_key(version)
            limits = [(operator, create_key(limit)) for operator, limit in self.conditions]
        except VersionError:
            return None
        return all(
            (operator[0] == "<" and key < limit)
            or (operator[0] == ">" and key > limit)
            or (operator[-1] == "=" and key == limit)
            for operator, limit in limits
        )
