"""Errors of lookups: an image, a platform or a file that does not exist."""

from __future__ import annotations

import errno
import posixpath
from typing import TYPE_CHECKING

from bundler.errors.base import BundlerError

if TYPE_CHECKING:
    from collections.abc import Sequence


class NotFoundError(BundlerError):
    """An image, tag, platform, blob or file that does not exist.

    Raised by all sources, and by readers of files.
    """

    exit_status = 9


class MissingFileError(NotFoundError):
    """A file or directory that does not exist.

    Fields:
        path: the missing file.
        os_error: the operating system's error; None if a directory without it was listed.

    Raised by readers of files; by readers of local formats for the file that makes a directory
    one of theirs.
    """

    def __init__(
        self,
        path: str,
        *,
        part_of: str | None = None,
        os_error: OSError | None = None,
        hint: str | None = None,
    ) -> None:
        """``part_of`` is what a directory with such a file would be, with its article."""
        folder, name = posixpath.split(path)
        if part_of is not None:
            problem = f"{folder}: not {part_of}: it has no {name}"
        elif os_error is not None and os_error.errno == errno.ENOTDIR:
            problem = f"{path}: not a directory"
        else:
            problem = f"{path}: no such file or directory"
        super().__init__(problem, hint=hint)
        self.path = path
        self.os_error = os_error


class NoSuchImageError(NotFoundError):
    """A name that no image of a layout, an archive or a storage has.

    Fields:
        name: the name.

    Raised by local sources.
    """

    def __init__(self, subject: str, name: str, *, hint: str | None = None) -> None:
        super().__init__(f"{subject}: no image {name!r}", hint=hint)
        self.name = name


class AmbiguousImageError(NotFoundError):
    """No name was given, and there are several images.

    Fields:
        count: the number of images.

    Raised by local sources.
    """

    def __init__(self, subject: str, count: int, *, hint: str | None = None) -> None:
        super().__init__(f"{subject}: {count:,} images (specify one of them)", hint=hint)
        self.count = count


class IndexOutOfRangeError(NotFoundError):
    """A position (``@N``) past the last image.

    Fields:
        index: the position, counted from 0.
        count: the number of images.

    Raised by layouts and archives.
    """

    def __init__(self, subject: str, *, index: int, count: int) -> None:
        super().__init__(f"{subject}: no image @{index} (it has {count:,}, the first is @0)")
        self.index = index
        self.count = count


class NoPlatformError(NotFoundError):
    """An image without the requested platform.

    Fields:
        requested: the requested platforms, as ``os/architecture[/variant]``.
        offered: the platforms that the image has, in the same form.
        docker_list: whether the platforms are those of a Docker manifest list.

    Raised by the selection of an index's images.
    """

    def __init__(
        self,
        subject: str,
        *,
        requested: Sequence[str],
        offered: Sequence[str],
        docker_list: bool = False,
    ) -> None:
        super().__init__(
            f"{subject}: no image for {', '.join(requested)};"
            f" it offers {', '.join(offered) or 'no platforms'}",
            hint="specify a platform that it offers, or none",
        )
        self.requested = tuple(requested)
        self.offered = tuple(offered)
        self.docker_list = docker_list


class NotLoggedInError(NotFoundError):
    """No credentials are stored for a registry.

    Fields:
        registry: the registry, with a namespace if one was named.

    Raised by ``login --get-login`` and ``logout``.
    """

    def __init__(self, registry: str, *, hint: str | None = None) -> None:
        super().__init__(f"{registry}: not logged in", hint=hint)
        self.registry = registry
