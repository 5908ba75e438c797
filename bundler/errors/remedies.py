"""Remedies: the alternatives in the hint of an error of a registry.

An error is created where the command is unknown. The front end selects the remedies that the
command offers, and names its options.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

CREDENTIAL_OPTIONS = ("creds", "username", "registry-token", "no-creds")
"""The options of a command that specify the credentials, without a prefix for the side."""


class Remedy(NamedTuple):
    """One alternative of a hint.

    Fields:
        text: the next step; ``{option}`` is the option in the spelling of the command.
        option: the option of the command that it needs, without a prefix; None if it needs none.
        given: the next step if the command line already contains the option, with ``{value}``;
            None: the remedy does not apply then.
        unless: options whose use makes the remedy useless.
        in_file: whether it is a setting under ``registries`` of a bundle manifest, or in a target
            file.
    """

    text: str
    option: str | None = None
    given: str | None = None
    unless: tuple[str, ...] = ()
    in_file: bool = False


def join_remedies(prefix: str, texts: Iterable[str]) -> str | None:
    """Return the hint that offers the alternatives; None if there are none."""
    alternatives = ", or ".join(texts)
    return f"{prefix}{alternatives}" if alternatives else None
