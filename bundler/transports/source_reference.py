"""References of images in handwritten lists, and the full names of these images.

A plain name, ``HOST/PATH:TAG``, refers to a registry, ``atomic:HOST/PATH:TAG`` to an image stream,
and any other ``TRANSPORT:PATH[:NAME]`` to local files.
"""

from __future__ import annotations

import os.path
import re
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from bundler import transports
from bundler.errors import InvalidReferenceError
from bundler.oci.reference import DEFAULT_TAG, ImageReference, is_tag

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.ports import Reference

_REGISTRY = "docker://"
_IMAGE_STREAMS = "atomic:"
_LOCAL_DOMAIN = "localhost"
_UNSUPPORTED = ("containers-storage", "docker-daemon", "ostree", "sif", "tarball")
_NOT_IN_REPOSITORY = re.compile(r"[^a-z0-9]+")
_CREDENTIALS = re.compile(r"^(?:[a-z][a-z-]*://)?[^/@\s]*:[^/@\s]*@(?!sha(?:256|512):)")


def parse_source(text: str, folder: Path) -> tuple[ImageReference, Reference]:
    """Parse a reference in a list; return the full name of the image and its source.

    A local path is relative to ``folder``. An image in a layout or an archive keeps its name; the
    domain ``localhost`` is added if the name has none.

    Raises:
        InvalidReferenceError: the reference is invalid, or contains credentials.
    """
    if _CREDENTIALS.match(text):
        raise InvalidReferenceError(
            "reference with credentials (expected credentials in `registries`)"
        )
    transport, colon, rest = text.partition(":")
    is_registry = text.startswith(_REGISTRY)
    if text.startswith(_IMAGE_STREAMS):
        return ImageReference.parse(rest), transports.parse(text)
    if colon and not is_registry and transport in transports.names():
        return _parse_local_source(transport, rest, folder)
    if "://" in text and not is_registry:
        raise InvalidReferenceError(
            f"{text[:200]!r}: expected the plain name {text.partition('://')[2][:200]}"
        )
    image = ImageReference.parse(text.removeprefix(_REGISTRY))
    return image, create_registry_reference(image)


class RegistryLocation(NamedTuple):
    """A registry, or a path in it.

    Fields:
        front: the beginning of references to its images: ``docker://``, or ``atomic:`` for image
            streams.
        host: the ``host[:port]``.
        path: the path; empty: the whole registry.
    """

    front: str
    host: str
    path: str


def split_registry(text: str) -> RegistryLocation | None:
    """Split ``docker://HOST[:PORT][/PATH]`` or ``atomic:HOST[:PORT][/PATH]``; None: other text."""
    for front in (_REGISTRY, _IMAGE_STREAMS):
        if text.startswith(front):
            host, _, path = text.removeprefix(front).rstrip("/").partition("/")
            return RegistryLocation(front, host, path)
    return None


def create_registry_reference(image: ImageReference, front: str = _REGISTRY) -> Reference:
    """Return the reference of an image in a registry: by tag if it has one, else by digest.

    Raises:
        InvalidReferenceError: an image stream cannot have this name.
    """
    return transports.parse(f"{front}{replace(image, digest=None) if image.tag else image}")


def derive_name(path: str, name: str) -> tuple[str, str] | None:
    """Return a repository and a tag for an image whose name is a tag, ``@N`` or empty.

    The repository is derived from the last component of ``path``, without its suffix.
    None: ``name`` already contains a repository.
    """
    stem = PurePath(path).stem.lower()
    repository = _NOT_IN_REPOSITORY.sub("-", stem).strip("-") or "image"
    if not name or name.startswith("@"):
        return repository, DEFAULT_TAG
    return (repository, name) if is_tag(name) else None


def _parse_local_source(
    transport: str, rest: str, folder: Path
) -> tuple[ImageReference, Reference]:
    """Parse a local path and name; for a tag, derive the repository from the path."""
    if transport in _UNSUPPORTED:
        known = ", ".join(name for name in transports.names() if name not in _UNSUPPORTED)
        raise InvalidReferenceError(
            f"{transport}: unsupported in bundle manifests (expected one of {known})"
        )
    path, colon, name = rest.partition(":")
    if rest.startswith("//") or not path:
        raise InvalidReferenceError(
            f"'{transport}:{rest[:200]}': expected a path after {transport}:; "
            "for an artifact in a registry write its plain name, host/path:tag"
        )
    source = transports.parse(f"{transport}:{os.path.normpath(folder / path)}{colon}{name}")
    derived = derive_name(os.path.normpath(path), name)
    if derived is not None:
        return ImageReference(_LOCAL_DOMAIN, *derived), source
    image = ImageReference.parse(name).with_default_tag()
    if image.repository.startswith("docker.io/") and not name.startswith("docker.io/"):
        image = replace(image, domain=_LOCAL_DOMAIN, path=image.path.removeprefix("library/"))
    return image, source
