"""Platforms: operating system, architecture and variant, and which of an index's entries fits.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.json.table import Table

_PART = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FIELDS = ("architecture", "os", "os.version", "os.features", "variant")

# A machine of a later variant runs what was built for an earlier one.
_COMPATIBLE = {"arm": ("v8", "v7", "v6", "v5"), "arm64": ("v8",)}


@dataclass(frozen=True, slots=True)
class Platform:
    """``os/architecture[/variant]``, and what Windows adds."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/architecture[/variant]``.

        Raises:
            UsageError: for any other text.
        """
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(_PART.fullmatch(part) for part in parts):
            raise UsageError(
                f"{text!r} is not a platform", hint="write OS/ARCHITECTURE[/VARIANT]: linux/arm64"
            )
        return cls(parts[0], parts[1], parts[2] if len(parts) == 3 else None)

    @classmethod
    def from_json(cls, table: Table) -> Platform:
        """Read the ``platform`` member of a descriptor, or the same members of a config."""
        table.refuse_other_case(_FIELDS)
        return cls(
            os=table.optional_text("os") or "",
            architecture=table.optional_text("architecture") or "",
            variant=table.optional_text("variant"),
            os_version=table.optional_text("os.version"),
            os_features=table.texts("os.features"),
        )

    def to_json(self) -> dict[str, Any]:
        """The ``platform`` member, without what is not set."""
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


def choose(wanted: Platform, offered: Sequence[Platform | None]) -> int | None:
    """The position in ``offered`` of what runs best on ``wanted``; None if nothing does.

    A wanted variant comes first, then the earlier ones it can run, then no variant at all. No
    wanted variant means: no variant first, then the latest.
    """
    for variant in _acceptable_variants(wanted):
        for position, platform in enumerate(offered):
            if (
                platform is not None
                and platform.os == wanted.os
                and platform.architecture == wanted.architecture
                and platform.variant == variant
                and wanted.os_version in (None, platform.os_version)
            ):
                return position
    return None


def _acceptable_variants(wanted: Platform) -> list[str | None]:
    ladder = _COMPATIBLE.get(wanted.architecture, ())
    if wanted.variant is None:
        return [None, *ladder]
    if wanted.variant in ladder:
        return [*ladder[ladder.index(wanted.variant) :], None]
    return [wanted.variant, None]
