"""Platforms: operating system, architecture and variant, and their selection from an index.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.errors import UsageError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_PART = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MEMBERS = {
    "os": Table.optional_text,
    "architecture": Table.optional_text,
    "variant": Table.optional_text,
    "os.version": Table.optional_text,
    "os.features": Table.texts,
}

# Variants from latest to earliest: hardware of a later variant also runs images for earlier ones.
_COMPATIBLE = {"arm": ("v8", "v7", "v6", "v5"), "arm64": ("v8",)}


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture[/variant]``, and the OS version and features of Windows images."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Parse ``os/architecture[/variant]``.

        Raises:
            UsageError: ``text`` is malformed.
        """
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            raise UsageError(
                f"{text!r} is not a valid platform",
                hint="write OS/ARCHITECTURE[/VARIANT], for example linux/arm64",
            )
        return cls(parts[0], parts[1], parts[2] if len(parts) == 3 else None)

    @classmethod
    def from_json(cls, table: Table) -> Platform:
        """Read the ``platform`` member of a descriptor, or the same members of a config."""
        os, architecture, variant, os_version, os_features = table.read(_MEMBERS)
        return cls(os or "", architecture or "", variant, os_version, os_features)

    def to_json(self) -> dict[str, Any]:
        """Return the ``platform`` member, without empty members."""
        value: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            value["os.version"] = self.os_version
        if self.os_features:
            value["os.features"] = list(self.os_features)
        if self.variant:
            value["variant"] = self.variant
        return value

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def choose(requested: Platform, offered: Sequence[Platform | None]) -> int | None:
    """Return the index of the best platform for ``requested``; None if none is compatible.

    The order of preference is the requested variant, the earlier variants that it can run, and no
    variant. If no variant is requested, the order is no variant, then the latest to earliest.
    """
    known = _COMPATIBLE.get(requested.architecture, ())
    variants: tuple[str | None, ...]
    if requested.variant is None:
        variants = (None, *known)
    elif requested.variant in known:
        variants = (*known[known.index(requested.variant) :], None)
    else:
        variants = (requested.variant, None)
    for variant in variants:
        for position, platform in enumerate(offered):
            if platform is None or requested.os_version not in (None, platform.os_version):
                continue
            key = (platform.os, platform.architecture, platform.variant)
            if key == (requested.os, requested.architecture, variant):
                return position
    return None
