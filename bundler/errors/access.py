"""Errors of access: files, images and platforms that are not found, and disks."""

from __future__ import annotations

import errno
import posixpath
from typing import TYPE_CHECKING

from bundler.errors.base import BundlerError
from bundler.errors.counts import format_size, shortlist

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_OFFERED = 30  # platforms in a message


class NotFoundError(BundlerError):
    """An image, tag, platform, blob or file that does not exist.

    Raised by all sources, and by readers of files.
    """

    exit_status = 9


class MissingFileError(NotFoundError):
    """A file or directory that does not exist.

    Raised by readers of files, and by readers of local formats if a directory does not contain
    the file that identifies the format.
    """

    def __init__(
        self,
        path: str,
        *,
        part_of: str | None = None,
        os_error: OSError | None = None,
        hint: str | None = None,
    ) -> None:
        """``part_of`` describes a directory that contains the file, such as ``an image``."""
        folder, name = posixpath.split(path)
        if part_of is not None:
            problem = f"{folder}: not {part_of} ({name} is missing)"
        elif os_error is not None and os_error.errno == errno.ENOTDIR:
            problem = f"{path}: not a directory"
        else:
            problem = f"{path}: no such file or directory"
        super().__init__(problem, path=path, os_error=os_error, hint=hint)


class NoSuchImageError(NotFoundError):
    """An image name that does not exist in a layout, an archive or an image store.

    Fields:
        name: the name.

    Raised by local sources.
    """

    def __init__(self, subject: str, name: str, *, hint: str | None = None) -> None:
        super().__init__(f"{subject}: no image {name!r}", hint=hint)
        self.name = name


class AmbiguousImageError(NotFoundError):
    """A location with several images, of which none was specified.

    Fields:
        count: the number of images.

    Raised by local sources.
    """

    def __init__(self, subject: str, count: int, *, hint: str | None = None) -> None:
        super().__init__(f"{subject}: contains {count:,} images (specify one of them)", hint=hint)
        self.count = count


class IndexOutOfRangeError(NotFoundError):
    """A position (``@N``) past the last image.

    Fields:
        index: the position, counted from 0.
        count: the number of images.

    Raised by layouts and archives.
    """

    def __init__(self, subject: str, *, index: int, count: int) -> None:
        super().__init__(f"{subject}: no image @{index} (expected @0 to @{count - 1})")
        self.index = index
        self.count = count


class SparseIndexError(NotFoundError):
    """An index that lists a manifest which does not exist at its source.

    Fields:
        manifest: the digest of the manifest.
        platform: its platform in the index; None if unset.
        present: platforms of the index whose manifests exist.

    Raised by the resolution of an image; the exchange, the path and the error of the operating
    system are those of the failed request.
    """

    def __init__(
        self, subject: str, cause: NotFoundError, *, manifest: str, platform: str | None
    ) -> None:
        name = manifest if platform is None else f"{platform} ({manifest})"
        super().__init__(
            f"{subject}: the index is sparse: its manifest of {name} is missing",
            path=cause.path,
            os_error=cause.os_error,
        )
        self.exchange = cause.exchange
        self.manifest = manifest
        self.platform = platform
        self.present: tuple[str, ...] = ()

    def add_present(self, platforms: Sequence[str]) -> None:
        """Set the platforms whose manifests exist, and the hint."""
        self.present = tuple(platforms)
        if platforms:
            self.hint = (
                f"select what it has ({shortlist(platforms)}) with --platform, or with platforms"
                " in a bundle manifest; airbundle import imports a sparse bundle as it is"
            )
        else:
            self.hint = "complete the source; airbundle import imports a sparse bundle as it is"


class MissingLayersError(NotFoundError):
    """An image whose foreign layers do not exist at its source, although all are required.

    Fields:
        layers: one line for each layer.

    Raised by the resolution of a bundle manifest.
    """

    def __init__(self, subject: str, layers: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([f"{subject}: foreign layers are missing", *layers]), hint=hint)
        self.layers = tuple(layers)


class MissingImagesError(NotFoundError):
    """Several images of a list that do not exist, or not with the required content.

    Fields:
        errors: the error of each image, by its name.

    Raised by the resolution of a bundle manifest, and by ``sync``.
    """

    def __init__(self, errors: Mapping[str, NotFoundError], *, hint: str | None = None) -> None:
        exists = any(
            isinstance(error, MissingLayersError | NoPlatformError) for error in errors.values()
        )
        lines = [f"{len(errors)} images do not exist{' as requested' if exists else ''}"]
        lines += [error.message_about(name) for name, error in errors.items()]
        super().__init__("\n".join(lines), hint=hint)
        self.errors = errors

    @classmethod
    def join(cls, errors: Mapping[str, NotFoundError]) -> NotFoundError:
        """Return one error for all ``errors``, of which there is at least one."""
        first = next(iter(errors.values()))
        return first if len(errors) == 1 else cls(errors, hint=first.hint)


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
            f" it offers {shortlist(offered, _MAX_OFFERED) or 'no platforms'}",
            hint="specify a platform that it offers, or none",
        )
        self.requested = tuple(requested)
        self.offered = tuple(offered)
        self.docker_list = docker_list


class NotLoggedInError(NotFoundError):
    """No credentials are stored for a registry.

    Fields:
        registry: the registry, with a namespace if one was specified.

    Raised by ``login --get-login`` and ``logout``.
    """

    def __init__(self, registry: str, *, hint: str | None = None) -> None:
        super().__init__(f"{registry}: not logged in", hint=hint)
        self.registry = registry


class MediumError(BundlerError):
    """A medium that cannot be read or written. Raised wherever files are read or written."""

    exit_status = 5


class NoSpaceError(MediumError):
    """A medium with too little free space.

    Fields:
        path: where space is needed.
        needed: the number of bytes needed; None if unknown.
        free: the number of free bytes.

    Raised by checks before writing, and by writers when the medium is full.
    """

    def __init__(
        self,
        path: str,
        *,
        needed: int | None,
        free: int,
        os_error: OSError | None = None,
        hint: str = "free some space, or specify a destination on a larger medium, and run again",
    ) -> None:
        amount = "more" if needed is None else f"{format_size(needed)} ({needed:,} bytes)"
        super().__init__(
            f"{path}: needs {amount}, but only {format_size(free)} ({free:,} bytes) is free",
            path=path,
            os_error=os_error,
            hint=hint,
        )
        self.needed = needed
        self.free = free


class DisconnectedMediumError(MediumError):
    """A directory that disappeared while it was written, usually with its medium.

    Raised by the writers of files.
    """

    def __init__(self, path: str, *, os_error: OSError | None = None) -> None:
        super().__init__(
            f"{path}: the medium is no longer connected, or the directory was removed",
            path=path,
            os_error=os_error,
            hint="reconnect the medium, and run the same command again",
        )


class UnreadableBundleError(MediumError):
    """A bundle with files that its medium fails to read.

    Fields:
        findings: one line for each file that cannot be read, is damaged or is missing.

    Raised by ``verify``.
    """

    def __init__(self, message: str, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *findings]), hint=hint)
        self.findings = tuple(findings)


class LockedError(MediumError):
    """Another process holds the lock of a file or directory.

    Fields:
        holder: who holds it, where and since when; empty if unknown.

    Raised by writers of local formats and of authfiles.
    """

    def __init__(
        self,
        path: str,
        holder: str = "",
        *,
        hint: str = "run the command again when that process has ended",
    ) -> None:
        by = f" ({holder})" if holder else ", which is not visible here"
        super().__init__(f"{path}: locked by another process{by}", path=path, hint=hint)
        self.holder = holder
