"""Skopeo's messages for errors of files and programs on this machine."""

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
    from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
    from bundler.errors import BundlerError

# Go follows links and opens directories, so Skopeo does not fail there.
_OPENED_BY_GO = frozenset({errno.ELOOP, errno.EISDIR})


def describe_unreadable(error: BundlerError, source: DisplayReference) -> tuple[str, bool] | None:
    """Describe why an image cannot be read.

    Returns:
        The message, and whether the image does not exist; None if Skopeo has no message of its own.
    """
    match source.transport:
        case "oci" | "oci-archive":
            return _describe_unreadable_layout(error, source)
        case "dir":
            return _failed(
                describe_open_error(error, _file(source, "manifest.json"), source.path or ".")
            )
        case "docker-archive":
            return _describe_unreadable_archive(error, source)
        case "docker-daemon" if isinstance(error, EngineUnreachableError):
            return f"loading image from docker engine: {describe_unreachable_engine(error)}", False
        case "containers-storage" if isinstance(error, NotFoundError):
            where, name = source.storage
            return f"reference {quote(f'{where}{name}')} does not resolve to an image ID", True
        case "sif" if (reason := describe_open_error(error, source.path)) is not None:
            return f"loading SIF file: {reason}", False
        case _:
            return None


def describe_unreachable_engine(error: EngineUnreachableError) -> str:
    """Describe that no container engine listens."""
    scheme, _, address = error.host.partition("://")
    network = "unix" if scheme == "unix" else "tcp"
    reason = _format_os_error(error.os_error)
    return (
        f"failed to connect to the docker API at {error.host}; check if the path is correct and if"
        f" the daemon is running: dial {network} {address}: connect: {reason}"
    )


def describe_unwritable(error: BundlerError, destination: DisplayReference) -> str | None:
    """Describe why an image cannot be written; None if Skopeo has no message of its own."""
    match error:
        case NotAnImageDirectoryError():
            return "not a containers image directory, don't want to overwrite important data"
        case ArchiveExistsError():
            return "docker-archive doesn't support modifying existing images"
        case MissingFileError(os_error=OSError()) if _is_at(error, destination.path):
            made = f"mkdir {Path(destination.path)}: {_format_os_error(error.os_error)}"
            if destination.transport == "oci":
                return made
            if destination.transport == "dir":
                return f'unable to create directory "{Path(destination.path)}": {made}'
    return None


def describe_missing_platform(error: NoPlatformError) -> str:
    """Describe that an index has no image for a platform."""
    system, architecture, variant = (*error.requested[0].split("/", 2), "", "")[:3]
    return (
        f"no image found in {'manifest list' if error.docker_list else 'image index'} for"
        f" architecture {quote(architecture)}, variant {quote(variant)}, OS {quote(system)}"
    )


def describe_open_error(error: BundlerError, path: str, *directories: str) -> str | None:
    """Describe why the file at ``path`` cannot be opened, if that is the failure; else None.

    Args:
        error: the failure.
        path: the file, as messages show it.
        directories: directories without which it cannot be opened either.
    """
    if not any(_is_at(error, one) for one in (path, *directories)):
        return None
    if error.os_error is None:
        missing = isinstance(error, MissingFileError)
        return f"open {path}: {_format_errno(errno.ENOENT)}" if missing else None
    if error.os_error.errno in _OPENED_BY_GO:
        return None
    return f"open {path}: {_format_os_error(error.os_error)}"


def find_open_error(path: str) -> str | None:
    """Return why the file at ``path`` cannot be opened; None if it can."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return _format_os_error(error)
    return None


def _is_at(error: BundlerError, path: str) -> bool:
    return error.path is not None and Path(error.path) == Path(path)


def _describe_unreadable_layout(
    error: BundlerError, source: DisplayReference
) -> tuple[str, bool] | None:
    match error:
        case IndexOutOfRangeError(index=index, count=count):
            return f"index {index} is too large, only {count} entries available", False
        case NoSuchImageError(name=name):
            return f"no descriptor found for reference {quote(name)}", True
        case AmbiguousImageError():
            return "more than one image in oci, choose an image", False
        case InvalidReferenceError() if not source.path and source.transport == "oci":
            return f"open index.json: {_format_errno(errno.ENOENT)}", False
        case _ if source.transport == "oci":
            return _failed(describe_open_error(error, _file(source, "index.json"), source.path))
        case MissingFileError() if _is_at(error, source.path):
            return _describe_missing_archive(source)
        case InvalidReferenceError() if not source.path:
            return _describe_missing_archive(source)
        case _:
            return None


def _describe_missing_archive(source: DisplayReference) -> tuple[str, bool]:
    return f"creating temp directory: archive file not found: {quote(source.path)}", False


def _describe_unreadable_archive(
    error: BundlerError, source: DisplayReference
) -> tuple[str, bool] | None:
    match error:
        case NotADockerArchiveError(missing=name):
            return f"loading tar component {quote(name)}: file does not exist", False
        case NoSuchImageError(name=name):
            return f"Tag {quote(name)} not found", False
        case _:
            pass
    reason = describe_open_error(error, source.path)
    return None if reason is None else (f"opening file {quote(source.path)}: {reason}", False)


def _file(source: DisplayReference, name: str) -> str:
    return str(Path(source.path or ".") / name)


def _failed(reason: str | None) -> tuple[str, bool] | None:
    return None if reason is None else (reason, False)


def _format_os_error(error: OSError | None) -> str:
    """Format an error of the operating system as Go does."""
    return ("" if error is None else error.strerror or "").lower()


def _format_errno(number: int) -> str:
    return os.strerror(number).lower()
