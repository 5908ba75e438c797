"""Compare target names with the digests that they point to now."""

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
    """A target name, the digest to publish under it, and the digest that it points to now."""

    name: str
    expected: Digest
    current: Digest | None
    """None: the name does not exist."""

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
    """Resolve each name at the target; without a resolver, no name exists.

    Raises:
        RegistryError: the target cannot be asked.
    """
    states = []
    for name, expected in names:
        current = None
        if resolver is not None:
            with suppress(NotFoundError):
                current = resolver.resolve(name).digest
        states.append(NameState(name, expected, current))
    return states
