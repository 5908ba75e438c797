"""References in bundle manifests: the full name of an image, and where it is read."""

from __future__ import annotations

import os.path
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import InvalidReferenceError
from bundler.oci.reference import ImageReference
from bundler.transports.shared.path_reference import derived_name

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.ports import Reference

_DOCKER = "docker://"
_LOCAL_DOMAIN = "localhost"
_ELSEWHERE = ("containers-storage", "docker-daemon", "ostree", "sif", "tarball")
_CREDENTIALS = re.compile(r"^(?:[a-z][a-z-]*://)?[^/@\s]*:[^/@\s]*@(?!sha(?:256|512):)")


def parse_source(text: str, folder: Path) -> tuple[ImageReference, Reference]:
    """Parse a reference in a bundle manifest; return the name of the image and its source.

    A plain name refers to a registry; a local path is relative to ``folder``. An image in a layout
    or an archive keeps its name there, with the domain ``localhost`` unless the name has another.

    Raises:
        InvalidReferenceError: names the invalid part, but never credentials.
    """
    if _CREDENTIALS.match(text):
        raise InvalidReferenceError("a reference must not hold credentials; use `registries`")
    if text.startswith(_DOCKER):
        return _in_registry(text.removeprefix(_DOCKER))
    transport, colon, rest = text.partition(":")
    if colon and transport in _ELSEWHERE:
        known = [name for name in transports.names() if name not in _ELSEWHERE]
        raise InvalidReferenceError(
            f"{transport}: is not a transport that bundles are made from; known are"
            f" {', '.join(known)}"
        )
    if colon and transport in transports.names():
        return _in_local_path(transport, rest, folder)
    if "://" in text:
        raise InvalidReferenceError(
            f"{text[:200]!r}: write the plain name, {text.partition('://')[2][:200]}"
        )
    return _in_registry(text)


def registry_source(image: ImageReference) -> Reference:
    """Return the source of an image in a registry: by tag if it has one, else by digest."""
    return transports.parse(f"{_DOCKER}{replace(image, digest=None) if image.tag else image}")


def _in_registry(text: str) -> tuple[ImageReference, Reference]:
    image = ImageReference.parse(text)
    return image, registry_source(image)


def _in_local_path(transport: str, rest: str, folder: Path) -> tuple[ImageReference, Reference]:
    path, colon, name = rest.partition(":")
    if rest.startswith("//") or not path:
        raise InvalidReferenceError(
            f"'{transport}:{rest[:200]}': after {transport}: comes a path; "
            "for an artifact in a registry write its plain name, host/path:tag"
        )
    source = transports.parse(f"{transport}:{os.path.normpath(folder / path)}{colon}{name}")
    return _local_name(path, name), source


def _local_name(path: str, name: str) -> ImageReference:
    """Return the full name of an image at a local path; a bare word is a tag of the path's stem."""
    derived = derived_name(os.path.normpath(path), name)
    if derived is not None:
        return ImageReference(_LOCAL_DOMAIN, *derived)
    image = ImageReference.parse(name).with_default_tag()
    if image.repository.startswith("docker.io/") and not name.startswith("docker.io/"):
        return replace(image, domain=_LOCAL_DOMAIN, path=image.path.removeprefix("library/"))
    return image
