"""What an image is to be called inside: a hint that the bundle carries for its import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class RenameRule:
    """Where ``match`` is found in a full reference, ``to`` with its named groups is the name."""

    match: re.Pattern[str]
    to: str
    origin: str


def target_name(reference: str, rename: str | None, rules: Sequence[RenameRule]) -> str | None:
    """The name for ``reference`` inside: ``path:tag`` or ``path@digest``, without a host.

    Args:
        reference: the full name, with host and tag or digest.
        rename: what its own entry says; without a tag it keeps the image's.
        rules: tried in order where the entry says nothing; the first that matches decides.

    Returns:
        None where nothing applies: the import decides.

    Raises:
        InvalidReferenceError: a rule makes something of it that cannot be a name.
    """
    raise NotImplementedError
