"""What an image is called inside: one table, printed by a dry run and used by the import.

A name inside is ``path:tag``, or ``path@digest`` for an image that has no tag.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from bundler.errors import InvalidReferenceError, MalformedError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference, is_repository_path, is_tag

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class TargetName:
    """A name without a host."""

    path: str
    tag: str | None
    digest: Digest | None = None

    def below(self, prefix: str) -> TargetName:
        """The same name under ``prefix``, which may be empty."""
        return TargetName(f"{prefix}/{self.path}", self.tag, self.digest) if prefix else self

    def __str__(self) -> str:
        return f"{self.path}:{self.tag}" if self.tag else f"{self.path}@{self.digest}"


@dataclass(frozen=True, slots=True)
class NameMapping:
    """How names are made.

    ``moves`` are pairs of FROM and TO: the longest FROM that a full reference begins with, up to
    a ``/``, ``:`` or ``@``, is replaced by TO. After those comes what the bundle manifest wished,
    and else the reference without its host, or with it (``keep_host``; a port follows a hyphen).
    """

    moves: tuple[tuple[str, str], ...] = ()
    keep_host: bool = False
    prefix: str = ""

    def inside(self, reference: str, root: Digest, rename: str | None) -> TargetName:
        """The name of an image; ``root`` stands in for a tag that is not there.

        Raises:
            MalformedError: ``reference``, which the bundle brought, cannot be an image's name.
            InvalidReferenceError: a replacement makes something that cannot be a name.
        """
        try:
            image = ImageReference.parse(reference)
        except InvalidReferenceError as error:
            raise MalformedError(f"the bundle names an image {error.message}") from None
        full = f"{image.repository}:{image.tag}" if image.tag else f"{image.repository}@{root}"
        moved = self.moved(full)
        if moved is None and rename is not None:
            moved = rename
        if moved is None:
            host = f"{_as_component(image.domain)}/" if self.keep_host else ""
            moved = f"{host}{full.removeprefix(f'{image.domain}/')}"
        return _parse(moved, image.tag, root, reference).below(self.prefix)

    def moved(self, full: str) -> str | None:
        """What ``moves`` make of a whole name; None where none of them applies."""
        for source, target in sorted(self.moves, key=lambda move: -len(move[0])):
            rest = full.removeprefix(source)
            if rest != full and (rest[:1] in ("", "/", ":", "@") or source.endswith("/")):
                return (target + rest).lstrip("/")
        return None


def parse_moves(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read ``FROM=TO`` for each of ``texts``.

    Raises:
        UsageError: one is of another form, or two have the same FROM.
    """
    moves: dict[str, str] = {}
    for text in texts:
        source, equals, target = text.partition("=")
        if not equals or not source:
            raise UsageError(
                f"{text[:200]!r} does not say what becomes of what",
                hint="write --names FROM=TO, as in --names docker.io/library=mirror",
            )
        if moves.setdefault(source, target) != target:
            raise UsageError(f"--names says two things of {source[:200]!r}")
    return tuple(moves.items())


def _as_component(domain: str) -> str:
    """A registry's ``host[:port]`` as the first component of a path."""
    if domain.startswith("["):
        address, _, port = domain[1:].partition("]")
        domain = f"{IPv6Address(address).exploded}{port}"
    return domain.replace(":", "-")


def _parse(text: str, tag: str | None, root: Digest, reference: str) -> TargetName:
    rest, at, digest = text.partition("@")
    path, colon, own_tag = rest.partition(":")
    if not is_repository_path(path) or (colon and not is_tag(own_tag)):
        raise InvalidReferenceError(
            f"{reference}: {text[:200]!r} cannot be its name inside",
            hint="check --names and the bundle manifest's rename",
        )
    if colon:
        return TargetName(path, own_tag)
    if at or tag is None:
        return TargetName(path, None, Digest(digest) if at else root)
    return TargetName(path, tag)
