"""Compare target names with the digests to which they currently point."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.oci.digest import Digest
    from bundler.ports import TagResolver


@dataclass(frozen=True, slots=True)
class NameState:
    """The current state of a target name."""

    name: str
    expected: Digest
    """The digest to publish."""
    current: Digest | None
    """The digest to which the name points; None if the name does not exist."""

    @property
    def is_same(self) -> bool:
        """Whether the name already points to the expected digest."""
        return self.current == self.expected

    @property
    def is_conflict(self) -> bool:
        """Whether the name points to another digest."""
        return self.current is not None and not self.is_same


def compare_with_target(
    names: Iterable[tuple[str, Digest]], resolver: TagResolver | None
) -> list[NameState]:
    """Resolve each name at the target.

    Args:
        names: pairs of a target name and the digest to publish under it.
        resolver: the target; None: no name exists there.

    Raises:
        RegistryError: the target cannot be reached, or denies access.
    """
    states = []
    for name, expected in names:
        current = None
        if resolver is not None:
            with suppress(NotFoundError):
                current = resolver.resolve(name).digest
        states.append(NameState(name, expected, current))
    return states
