"""Map the names of images to target names, and compare these with the target.

Import and sync use the same mapping: rename rules and a default.
"""

from __future__ import annotations

import posixpath
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.errors import DigestConflictError, InvalidReferenceError, NotFoundError, UsageError
from bundler.oci.reference import convert_domain_to_component, is_repository_path, is_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.oci.digest import Digest
    from bundler.oci.reference import ImageReference
    from bundler.ports import TagResolver


@dataclass(frozen=True, slots=True)
class TargetName:
    """A name without a host: ``path:tag``, or ``path@digest`` for an image without a tag."""

    path: str
    tag: str | None
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.tag}" if self.tag else f"{self.path}@{self.digest}"


@dataclass(frozen=True, slots=True)
class NameMapping:
    """The rules for target names.

    Rename rules of the command line take precedence over the bundle manifest's ``rename``, which
    takes precedence over ``default``. ``prefix`` and ``suffix`` are then added.
    """

    rules: tuple[tuple[str, str], ...] = ()
    """Pairs of FROM and TO: the longest FROM that matches the beginning of a name is replaced by
    TO. It matches only before ``/``, ``:``, ``@`` or the end of the name."""
    default: Literal["path", "host-path", "full", "basename"] = "path"
    """The part of the name to keep. ``path``: the name without the host. ``host-path``: the whole
    name, with the host as a valid path component. ``full``: the whole name, unchanged.
    ``basename``: the part after the last slash."""
    prefix: str = ""
    suffix: str = ""

    def map_name(self, name: str, rename: str | None = None) -> str:
        """Return the target name for ``name``.

        ``rename`` is the target name from the bundle manifest; None if unset.
        """
        mapped = rename
        for source, target in sorted(self.rules, key=lambda rule: -len(rule[0])):
            if _matches(source, name):
                mapped = (target + name.removeprefix(source)).lstrip("/")
                break
        if mapped is None:
            domain, _, path = name.partition("/")
            match self.default:
                case "path":
                    mapped = path
                case "host-path":
                    mapped = f"{convert_domain_to_component(domain)}/{path}"
                case "full":
                    mapped = name
                case "basename":
                    mapped = posixpath.basename(name)
        return f"{self.prefix}/{mapped}{self.suffix}" if self.prefix else f"{mapped}{self.suffix}"

    def map_reference(
        self, image: ImageReference, root: Digest, rename: str | None = None
    ) -> TargetName:
        """Return the target name for ``image``, with its tag; without a tag, with ``root``.

        ``rename`` is the target name from the bundle manifest; None if unset.

        Raises:
            InvalidReferenceError: the resulting name is invalid.
            DigestConflictError: the resulting name has the digest of another image.
        """
        version = f":{image.tag}" if image.tag else f"@{root}"
        text = self.map_name(f"{image.repository}{version}", rename)
        rest, at, digest = text.partition("@")
        path, colon, tag = rest.partition(":")
        if not is_repository_path(path) or (colon and not is_tag(tag)):
            raise InvalidReferenceError(
                f"{image}: {text[:200]!r} is not a valid target name",
                hint="check --names and the bundle manifest's rename",
            )
        # The reference may have the digest of the index from which platforms were removed.
        if at and digest not in (root.text, image.digest and image.digest.text):
            raise DigestConflictError(
                f"{image}: target name {text[:200]!r}",
                expected=root.text,
                got=digest[:200],
                hint="check --names and the bundle manifest's rename",
            )
        if colon:
            return TargetName(path, tag)
        if at or image.tag is None:
            return TargetName(path, None, root)
        return TargetName(path, image.tag)


def find_unused_rules(rules: Sequence[tuple[str, str]], names: Iterable[str]) -> list[str]:
    """Return the FROM of each rename rule that matches none of ``names``."""
    known = list(names)
    return [source for source, _ in rules if not any(_matches(source, name) for name in known)]


def _matches(source: str, name: str) -> bool:
    """Return whether ``source`` matches the beginning of ``name``."""
    rest = name.removeprefix(source)
    return rest != name and (rest[:1] in ("", "/", ":", "@") or source.endswith("/"))


def parse_rules(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Parse rename rules of the form ``FROM=TO``.

    Raises:
        UsageError: a rule is malformed, or two rules have the same FROM.
    """
    rules: dict[str, str] = {}
    for text in texts:
        source, equals, target = text.partition("=")
        if not equals or not source:
            raise UsageError(
                f"--names {text[:200]!r}: not a valid rename rule",
                hint="write --names FROM=TO, as in --names docker.io/library=mirror",
            )
        if rules.setdefault(source, target) != target:
            raise UsageError(f"--names: several rules replace {source[:200]!r}")
    return tuple(rules.items())


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
    """Resolve each name at the target, and compare it with the digest to publish under it.

    ``resolver`` is the target; None: no name exists there.

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
