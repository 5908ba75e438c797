"""Failures of places on this machine as Skopeo puts them; what is there is looked at again."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo.logrus import quoted
from bundler.errors import MediumError, NotFoundError

if TYPE_CHECKING:
    from bundler.cli.frontends.skopeo.reference_display import DisplayReference
    from bundler.errors import BundlerError

_NO_PLATFORM = re.compile(
    r"no image for (?P<os>[^/ ;]+)/(?P<architecture>[^/ ;]+)(?:/(?P<variant>[^ ;]+))?;"
)
_INDEX_TOO_LARGE = re.compile(r"no entry @?(\d+), there are (\d+)")
_DAEMON = "unix:///var/run/docker.sock"


def unreadable(
    error: BundlerError, place: DisplayReference, daemon: str
) -> tuple[str, bool] | None:
    """Why an image cannot be read from ``place``, and whether there is no such image.

    Args:
        error: what went wrong.
        place: where it was to come from.
        daemon: where its engine listens; empty: where it always does.

    Returns:
        None, where Skopeo has no words of its own.
    """
    match place.transport:
        case "oci" | "oci-archive":
            return _in_layout(error, place)
        case "dir":
            return _unopened(Path(place.path or ".") / "manifest.json")
        case "docker-archive":
            return _in_docker_archive(error, place)
        case "docker-daemon" if "no container engine answers" in error.message:
            return f"loading image from docker engine: {no_engine(daemon)}", False
        case "containers-storage" if isinstance(error, NotFoundError):
            return _in_storage(place), True
        case "sif" if (reason := opened(place.path)) is not None:
            return f"loading SIF file: {reason}", False
        case _:
            return None


def no_engine(daemon: str) -> str:
    """That no container engine listens."""
    where = daemon or _DAEMON
    path = where.removeprefix("unix://")
    why = "connection refused" if os.path.exists(path) else "no such file or directory"  # noqa: PTH110
    return (
        f"failed to connect to the docker API at {where}; check if the path is correct and if the"
        f" daemon is running: dial unix {path}: connect: {why}"
    )


def unwritable(error: BundlerError, place: DisplayReference) -> str | None:
    """Why an image cannot be written to ``place``; None: Skopeo has no words of its own."""
    if place.transport == "dir" and "holds something that is not an image" in error.message:
        return "not a containers image directory, don't want to overwrite important data"
    if "docker-archive doesn't support modifying existing images" in error.message:
        return "docker-archive doesn't support modifying existing images"
    if isinstance(error, NotFoundError | MediumError) and place.transport in ("dir", "oci"):
        path = Path(place.path)
        if not path.parent.is_dir() or str(path.parent) == "/proc":
            made = f"mkdir {path}: no such file or directory"
            return (
                made if place.transport == "oci" else f'unable to create directory "{path}": {made}'
            )
    return None


def no_platform(error: BundlerError, *, docker: bool) -> str | None:
    """That a list has nothing for a platform."""
    found = _NO_PLATFORM.search(error.message)
    if found is None or not isinstance(error, NotFoundError):
        return None
    architecture, variant, system = (
        found[name] or "" for name in ("architecture", "variant", "os")
    )
    return (
        f"no image found in {'manifest list' if docker else 'image index'} for architecture"
        f" {quoted(architecture)}, variant {quoted(variant)}, OS {quoted(system)}"
    )


def opened(path: Path | str) -> str | None:
    """Why a file cannot be opened; None: it can."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return f"open {path}: {(error.strerror or '').lower()}"
    return None


def is_directory(path: str) -> bool:
    """Whether a path leads to a directory."""
    return os.path.isdir(path)  # noqa: PTH112 - as it was typed


def _in_layout(error: BundlerError, place: DisplayReference) -> tuple[str, bool] | None:
    if place.transport == "oci":
        unopened = _unopened(Path(place.path) / "index.json")
    elif not os.path.exists(place.path):  # noqa: PTH110 - as it was typed
        unopened = f"creating temp directory: archive file not found: {quoted(place.path)}", False
    else:
        unopened = None
    if unopened is not None:
        return unopened
    large = _INDEX_TOO_LARGE.search(error.message)
    if large is not None:
        return f"index {large[1]} is too large, only {large[2]} entries available", False
    if place.name and "no image" in error.message and "no image for" not in error.message:
        return f"no descriptor found for reference {quoted(place.name)}", True
    if not place.name and "none was named" in error.message:
        return "more than one image in oci, choose an image", False
    return None


def _in_docker_archive(error: BundlerError, place: DisplayReference) -> tuple[str, bool] | None:
    reason = opened(place.path)
    if reason is not None:
        return f"opening file {quoted(place.path)}: {reason}", False
    if "it has no manifest.json" in error.message:
        return 'loading tar component "manifest.json": file does not exist', False
    if place.image is not None and "no image" in error.message:
        return f"Tag {quoted(str(place.image))} not found", False
    return None


def _in_storage(place: DisplayReference) -> str:
    where, name = place.storage
    return f"reference {quoted(f'{where}{name}')} does not resolve to an image ID"


def _unopened(path: Path) -> tuple[str, bool] | None:
    reason = opened(path)
    return None if reason is None else (reason, False)
