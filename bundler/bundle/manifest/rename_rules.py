"""What an image is to be called inside: a hint that the bundle carries for its import."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import InvalidReferenceError, UsageError
from bundler.oci.reference import is_repository_path, is_tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.reference import ImageReference

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class RenameRule:
    """Where ``match`` is found in a full reference, ``to`` with its named groups is the name.

    A reference is matched without its digest if it has a tag too. In the group called ``host``
    the colon before a port becomes a hyphen, as no path can hold it.
    """

    match: re.Pattern[str]
    to: str
    origin: str

    def apply(self, name: str) -> str | None:
        """The name for ``name``; None where the rule does not match."""
        found = self.match.search(name)
        if found is None:
            return None
        groups = {group: text or "" for group, text in found.groupdict().items()}
        if "host" in groups:
            groups["host"] = groups["host"].replace(":", "-")
        return _PLACEHOLDER.sub(lambda placeholder: groups[placeholder[1]], self.to)


def target_name(
    image: ImageReference, rename: str | None, rules: Sequence[RenameRule]
) -> str | None:
    """The name for ``image`` inside: ``path:tag`` or ``path@digest``, without a host.

    Args:
        image: the full name, with host and tag or digest.
        rename: what its own entry says; without a tag it keeps the image's.
        rules: tried in order where the entry says nothing; the first that matches decides.

    Returns:
        None where nothing applies: the import decides.

    Raises:
        InvalidReferenceError: a rule makes something of it that cannot be a name.
    """
    version = f":{image.tag}" if image.tag else f"@{image.digest}"
    if rename is not None:
        return rename if ":" in rename else rename + version
    for rule in rules:
        made = rule.apply(image.repository + version)
        if made is not None:
            name = _complete(made, version)
            if name is None:
                raise InvalidReferenceError(
                    f"{rule.origin}: the rename rule makes {made[:300]!r} of {image},"
                    " which cannot be a name"
                )
            return name
    return None


def check_template(template: str, match: re.Pattern[str]) -> None:
    """See that every placeholder of ``template`` is a named group of ``match``.

    Raises:
        UsageError: with what is wrong.
    """
    unknown = [name for name in _PLACEHOLDER.findall(template) if name not in match.groupindex]
    if unknown:
        groups = ", ".join(f"{{{name}}}" for name in match.groupindex) or "none"
        raise UsageError(
            f"`match` has no group for {{{unknown[0]}}}; its named groups are {groups}"
        )
    if set("{}") & set(_PLACEHOLDER.sub("", template)):
        raise UsageError("a brace may only stand around the name of a group, as in {path}")


def is_target_name(text: str) -> bool:
    """Whether ``text`` can be an entry's new name: ``path[:tag]``."""
    path, colon, tag = text.partition(":")
    return is_repository_path(path) and (not colon or is_tag(tag))


def _complete(name: str, version: str) -> str | None:
    if name.endswith(version):
        return name if is_repository_path(name.removesuffix(version)) else None
    if not is_target_name(name):
        return None
    return name if ":" in name else name + version
