"""Skopeo's messages for failures of locations on this machine, chosen by the errors' facts."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.errors import (
    AmbiguousImageError,
    ArchiveExistsError,
    EngineUnreachableError,
    IndexOutOfRangeError,
    InvalidReferenceError,
    MissingFileError,
    NoPlatformError,
    NoSuchImageError,
    NotADockerArchiveError,
    NotAnImageDirectoryError,
    NotFoundError,
)
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from bundler.cli.frontends.skopeo.reference_display import DisplayReference
    from bundler.errors import BundlerError

# Go follows links and opens directories, so Skopeo does not fail there.
_OPENED_BY_GO = frozenset({errno.ELOOP, errno.EISDIR})


def unreadable(error: BundlerError, place: DisplayReference) -> tuple[str, bool] | None:
    """Why an image cannot be read from ``place``, and whether there is no such image.

    Args:
        error: the failure.
        place: the source.

    Returns:
        None if Skopeo has no message of its own.
    """
    match place.transport:
        case "oci" | "oci-archive":
            return _in_layout(error, place)
        case "dir":
            return _failed(unopened(error, _file(place, "manifest.json"), place.path or "."))
        case "docker-archive":
            return _in_docker_archive(error, place)
        case "docker-daemon" if isinstance(error, EngineUnreachableError):
            return f"loading image from docker engine: {no_engine(error)}", False
        case "containers-storage" if isinstance(error, NotFoundError):
            return _in_storage(place), True
        case "sif" if (reason := unopened(error, place.path)) is not None:
            return f"loading SIF file: {reason}", False
        case _:
            return None


def no_engine(error: EngineUnreachableError) -> str:
    """That no container engine listens."""
    scheme, _, address = error.host.partition("://")
    network = "unix" if scheme == "unix" else "tcp"
    return (
        f"failed to connect to the docker API at {error.host}; check if the path is correct and if"
        f" the daemon is running: dial {network} {address}: connect: {_reason(error.os_error)}"
    )


def unwritable(error: BundlerError, place: DisplayReference) -> str | None:
    """Why an image cannot be written to ``place``; None if Skopeo has no message of its own."""
    match error:
        case NotAnImageDirectoryError():
            return "not a containers image directory, don't want to overwrite important data"
        case ArchiveExistsError():
            return "docker-archive doesn't support modifying existing images"
        case MissingFileError(os_error=OSError()) if _is_at(error, place.path):
            made = f"mkdir {Path(place.path)}: {_reason(error.os_error)}"
            if place.transport == "oci":
                return made
            if place.transport == "dir":
                return f'unable to create directory "{Path(place.path)}": {made}'
    return None


def no_platform(error: NoPlatformError) -> str:
    """That a list has no image for a platform."""
    system, architecture, variant = (*error.requested[0].split("/", 2), "", "")[:3]
    return (
        f"no image found in {'manifest list' if error.docker_list else 'image index'} for"
        f" architecture {quote(architecture)}, variant {quote(variant)}, OS {quote(system)}"
    )


def unopened(error: BundlerError, path: str, *folders: str) -> str | None:
    """Why the file at ``path`` cannot be opened, if that is the failure.

    Args:
        error: the failure.
        path: the file, as messages show it.
        folders: directories without which it cannot be opened either.
    """
    if not any(_is_at(error, one) for one in (path, *folders)):
        return None
    if error.os_error is None:
        missing = isinstance(error, MissingFileError)
        return f"open {path}: {_strerror(errno.ENOENT)}" if missing else None
    if error.os_error.errno in _OPENED_BY_GO:
        return None
    return f"open {path}: {_reason(error.os_error)}"


def why_unreadable(path: str) -> str | None:
    """Why the file that an argument names cannot be opened; None if it can."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return _reason(error)
    return None


def _is_at(error: BundlerError, path: str) -> bool:
    return error.path is not None and Path(error.path) == Path(path)


def _in_layout(error: BundlerError, place: DisplayReference) -> tuple[str, bool] | None:
    match error:
        case IndexOutOfRangeError(index=index, count=count):
            return f"index {index} is too large, only {count} entries available", False
        case NoSuchImageError(name=name):
            return f"no descriptor found for reference {quote(name)}", True
        case AmbiguousImageError():
            return "more than one image in oci, choose an image", False
        case InvalidReferenceError() if not place.path and place.transport == "oci":
            return f"open index.json: {_strerror(errno.ENOENT)}", False
        case _ if place.transport == "oci":
            return _failed(unopened(error, _file(place, "index.json"), place.path))
        case MissingFileError() if _is_at(error, place.path):
            return _no_archive(place)
        case InvalidReferenceError() if not place.path:
            return _no_archive(place)
        case _:
            return None


def _no_archive(place: DisplayReference) -> tuple[str, bool]:
    return f"creating temp directory: archive file not found: {quote(place.path)}", False


def _in_docker_archive(error: BundlerError, place: DisplayReference) -> tuple[str, bool] | None:
    match error:
        case NotADockerArchiveError(missing=name):
            return f"loading tar component {quote(name)}: file does not exist", False
        case NoSuchImageError(name=name):
            return f"Tag {quote(name)} not found", False
        case _:
            pass
    reason = unopened(error, place.path)
    return None if reason is None else (f"opening file {quote(place.path)}: {reason}", False)


def _in_storage(place: DisplayReference) -> str:
    where, name = place.storage
    return f"reference {quote(f'{where}{name}')} does not resolve to an image ID"


def _file(place: DisplayReference, name: str) -> str:
    return str(Path(place.path or ".") / name)


def _failed(reason: str | None) -> tuple[str, bool] | None:
    return None if reason is None else (reason, False)


def _reason(error: OSError | None) -> str:
    """An operating system's error as Go writes it."""
    return ("" if error is None else error.strerror or "").lower()


def _strerror(number: int) -> str:
    return os.strerror(number).lower()
