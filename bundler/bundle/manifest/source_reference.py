"""References as bundle manifests write them, and the names that images have in a bundle."""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import InvalidReferenceError
from bundler.oci.reference import DEFAULT_TAG, ImageReference, is_tag

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.oci.digest import Digest

_DOCKER = "docker://"
_LOCAL_DOMAIN = "localhost"
_ELSEWHERE = ("containers-storage", "docker-daemon", "ostree", "sif", "tarball")
_CREDENTIALS = re.compile(r"^(?:[a-z][a-z-]*://)?[^/@\s]*:[^/@\s]*@(?!sha(?:256|512):)")
_UNFIT = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class SourceLocation:
    """An image, or a repository where ``image`` has neither tag nor digest."""

    image: ImageReference
    """The name in the bundle."""
    source: str
    """What ``transports.parse`` takes; local paths are resolved."""

    @property
    def pin(self) -> Digest | None:
        """What the source has to stand for."""
        return self.image.digest

    @property
    def local(self) -> bool:
        """Whether it lies in a folder or file rather than in a registry."""
        return not self.source.startswith(_DOCKER)


def locate(text: str, folder: Path) -> SourceLocation:
    """Read a reference; a plain name is one in a registry, a local path is relative to ``folder``.

    What lies in a layout or an archive gets the name it has there, below ``localhost`` where that
    names no registry.

    Raises:
        InvalidReferenceError: with the part that is wrong; never with credentials.
    """
    if _CREDENTIALS.match(text):
        raise InvalidReferenceError("a reference must not hold credentials; use `registries`")
    if text.startswith(_DOCKER):
        return in_registry(ImageReference.parse(text.removeprefix(_DOCKER)))
    transport, colon, rest = text.partition(":")
    if colon and transport in _ELSEWHERE:
        known = [name for name in transports.names() if name not in _ELSEWHERE]
        raise InvalidReferenceError(
            f"{transport}: is not a transport that bundles are made from; known are"
            f" {', '.join(known)}"
        )
    if colon and transport in transports.names():
        return _in_place(transport, rest, folder)
    if "://" in text:
        raise InvalidReferenceError(
            f"{text[:200]!r}: write the plain name, {text.partition('://')[2][:200]}"
        )
    return in_registry(ImageReference.parse(text))


def in_registry(image: ImageReference) -> SourceLocation:
    """Where ``image`` is found: by its tag if it has one, else by its digest."""
    asked = replace(image, digest=None) if image.tag else image
    return SourceLocation(image, f"{_DOCKER}{asked}")


def _in_place(transport: str, rest: str, folder: Path) -> SourceLocation:
    path, colon, name = rest.partition(":")
    if rest.startswith("//") or not path:
        raise InvalidReferenceError(
            f"'{transport}:{rest[:200]}': after {transport}: comes a path; "
            "for an artifact in a registry write its plain name, host/path:tag"
        )
    source = f"{transport}:{os.path.normpath(folder / path)}{colon}{name}"
    transports.parse(source)
    return SourceLocation(_local_name(path, name), source)


def _local_name(path: str, name: str) -> ImageReference:
    """What ``name`` at ``path`` is called in a bundle: a bare word is a tag of the path's stem."""
    stem = _UNFIT.sub("-", PurePath(os.path.normpath(path)).stem.lower()).strip("-") or "image"
    if not name or name.startswith("@"):
        return ImageReference(_LOCAL_DOMAIN, stem, DEFAULT_TAG)
    if is_tag(name):
        return ImageReference(_LOCAL_DOMAIN, stem, name)
    image = ImageReference.parse(name).with_default_tag()
    if image.repository.startswith("docker.io/") and not name.startswith("docker.io/"):
        return replace(image, domain=_LOCAL_DOMAIN, path=image.path.removeprefix("library/"))
    return image
