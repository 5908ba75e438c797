"""Skopeo's messages for errors of local files and programs."""

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
    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
    from bundler.errors import BundlerError, ConfigError

FAILED, NOT_FOUND = 1, 2
"""Exit statuses of Skopeo."""

# Go follows symbolic links and opens directories, so Skopeo does not fail in these cases.
_OPENED_BY_GO = frozenset({errno.ELOOP, errno.EISDIR})
_MISSING = os.strerror(errno.ENOENT).lower()


def describe_unreadable(error: BundlerError, source: DisplayReference) -> tuple[str, int] | None:
    """Describe why an image cannot be read.

    Returns:
        The message and the exit status; None if Skopeo has no specific message.
    """
    path, front = source.path, ""
    match source.transport, error:
        case "oci" | "oci-archive", IndexOutOfRangeError(index=index, count=count):
            return f"index {index} is too large, only {count} entries available", FAILED
        case "oci" | "oci-archive", NoSuchImageError(name=name):
            return f"no descriptor found for reference {quote(name)}", NOT_FOUND
        case "oci" | "oci-archive", AmbiguousImageError():
            return "more than one image in oci, choose an image", FAILED
        case "oci", InvalidReferenceError() if not path:
            return f"open index.json: {_MISSING}", FAILED
        case "oci" | "dir", _:
            name = "index.json" if source.transport == "oci" else "manifest.json"
            reason = describe_open_error(error, str(Path(path or ".") / name), path)
        case "oci-archive", MissingFileError() | InvalidReferenceError() if (
            _is_at(error, path) if path else error.path is None
        ):
            front, reason = "creating temp directory: archive file not found: ", quote(path)
        case "docker-archive", NotADockerArchiveError(missing=name):
            return f"loading tar component {quote(name)}: file does not exist", FAILED
        case "docker-archive", NoSuchImageError(name=name):
            return f"Tag {quote(name)} not found", FAILED
        case "docker-archive" | "sif", _:
            is_sif = source.transport == "sif"
            front = "loading SIF file: " if is_sif else f"opening file {quote(path)}: "
            reason = describe_open_error(error, path)
        case "docker-daemon", EngineUnreachableError():
            return f"loading image from docker engine: {describe_unreachable_engine(error)}", FAILED
        case "containers-storage", NotFoundError():
            name = quote("".join(source.storage))
            return f"reference {name} does not resolve to an image ID", NOT_FOUND
        case _:
            return None
    return None if reason is None else (f"{front}{reason}", FAILED)


def describe_unreachable_engine(error: EngineUnreachableError) -> str:
    """Describe a failed connection to a container engine."""
    scheme, _, address = error.host.partition("://")
    network = "unix" if scheme == "unix" else "tcp"
    return (
        f"failed to connect to the docker API at {error.host}; check if the path is correct and if"
        f" the daemon is running: dial {network} {address}: connect:"
        f" {_format_os_error(error.os_error)}"
    )


def describe_unwritable(error: BundlerError, destination: DisplayReference) -> str | None:
    """Describe why an image cannot be written; None if Skopeo has no specific message."""
    match error:
        case NotAnImageDirectoryError():
            return "not a containers image directory, don't want to overwrite important data"
        case ArchiveExistsError():
            return "docker-archive doesn't support modifying existing images"
        case MissingFileError(os_error=OSError()) if _is_at(error, destination.path):
            path = Path(destination.path)
            reason = f"mkdir {path}: {_format_os_error(error.os_error)}"
            if destination.transport == "oci":
                return reason
            if destination.transport == "dir":
                return f'unable to create directory "{path}": {reason}'
    return None


def describe_missing_platform(error: NoPlatformError) -> str:
    """Describe an index without an image for a platform."""
    system, architecture, variant = (*error.requested[0].split("/", 2), "", "")[:3]
    return (
        f"no image found in {'manifest list' if error.docker_list else 'image index'} for"
        f" architecture {quote(architecture)}, variant {quote(variant)}, OS {quote(system)}"
    )


def describe_config_error(error: ConfigError, line: CommandLine) -> str | None:
    """Describe why a configuration file given by a flag cannot be read; None for other errors."""
    details, registries = line.text("tls-details"), line.text("registries-conf")
    if details and (reason := describe_open_error(error, details)) is not None:
        return f"reading {quote(details)}: {reason}"
    reason = describe_open_error(error, registries) if registries else None
    if reason is None:
        return None
    front = ""
    if line.command.name == "inspect" and line.arguments:
        front = f"Error parsing image name {quote(line.arguments[0])}: "
    return f"{front}loading registries configuration: {reason}"


def describe_open_error(error: BundlerError, path: str, *directories: str) -> str | None:
    """Describe why the file at ``path`` cannot be opened; None if ``error`` is another failure.

    Args:
        error: the failure.
        path: the file, as it appears in messages.
        directories: its parent directories whose absence is reported in the same way.
    """
    if not any(_is_at(error, location) for location in (path, *directories)):
        return None
    if error.os_error is None:
        return f"open {path}: {_MISSING}" if isinstance(error, MissingFileError) else None
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


def _format_os_error(error: OSError | None) -> str:
    """Format an operating system error as Go does."""
    return ("" if error is None else error.strerror or "").lower()
