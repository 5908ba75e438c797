"""Errors of access: files, images and platforms not found, disks, registries and engines."""

from __future__ import annotations

import errno
import posixpath
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from bundler.errors.base import BundlerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


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
        self, path: str, *, needed: int | None, free: int, os_error: OSError | None = None
    ) -> None:
        amount = "more" if needed is None else f"{needed:,} bytes"
        super().__init__(
            f"{path}: needs {amount}, but only {free:,} bytes are free",
            path=path,
            os_error=os_error,
            hint="free some space, or specify a destination on a larger medium, and run again",
        )
        self.needed = needed
        self.free = free


class LockedError(MediumError):
    """Another process holds the lock of a file or directory.

    Raised by writers of local formats and of authfiles.
    """


@dataclass(slots=True, eq=False)
class Outage:
    """A period in which a host is unavailable; the errors of all its requests share it.

    Fields:
        since: the time of the first failure, by ``time.monotonic``.
        announced: whether the user was informed of it.
    """

    since: float
    announced: bool = False


class RegistryError(BundlerError):
    """A request to a registry or to a container engine that failed.

    Fields:
        status: the HTTP status; None if there was no response.
        codes: the error codes of the distribution specification.
        temporary: whether the same request may succeed later.
        retry_after: the number of seconds after which to retry, from the response; None if unset.
        patience: the number of seconds for which to retry; 0: not at all; None: the default.
        outage: the outage of the host that the error belongs to; None: the host answered.

    Raised by the registry client and by the client of container engines.
    """

    exit_status = 6

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        codes: Sequence[str] = (),
        temporary: bool = False,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.codes = tuple(codes)
        self.temporary = temporary
        self.retry_after = retry_after
        self.patience: float | None = None
        self.outage: Outage | None = None


class StalledError(RegistryError):
    """A server that was silent, or too slow, for longer than a limit.

    Fields:
        host: the address of the server.
        limit: the limit, in seconds.

    Raised by the registry client.
    """

    def __init__(self, message: str, *, host: str, limit: float, hint: str | None = None) -> None:
        super().__init__(message, temporary=True, hint=hint)
        self.host = host
        self.limit = limit


class CertificateProblem(StrEnum):
    """The reason why a server's certificate is not trusted."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    SELF_SIGNED = "self-signed"
    UNKNOWN_ISSUER = "unknown-issuer"
    NAME_MISMATCH = "name-mismatch"
    OTHER = "other"


class CertificateSummary(NamedTuple):
    """The parts of a server's certificate that explain why it is not trusted.

    Fields:
        names: the host names and IP addresses that it was issued for.
        issuer: the name of its issuer, in the form of RFC 4514.
        not_before: the beginning of its validity.
        not_after: the end of its validity.
    """

    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime


class CertificateError(RegistryError):
    """The certificate of a server is not trusted.

    Fields:
        problem: the reason why it is not trusted.
        host: the name or address for which the certificate must be valid.
        verify_code: OpenSSL's error code.
        verify_message: OpenSSL's message for that code.
        certificate: the certificate that was presented; None if it could not be read.

    Raised by the registry client and by the client of container engines.
    """

    def __init__(
        self,
        message: str,
        *,
        problem: CertificateProblem,
        host: str,
        verify_code: int,
        verify_message: str,
        certificate: CertificateSummary | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.problem = problem
        self.host = host
        self.verify_code = verify_code
        self.verify_message = verify_message
        self.certificate = certificate


class RateLimitedError(RegistryError):
    """More requests than the registry allows.

    Raised by the registry client.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = 429,
        codes: Sequence[str] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message,
            status=status,
            codes=codes,
            temporary=True,
            retry_after=retry_after,
            hint="wait and run again, or lower limits.requestsPerSecond for this registry",
        )


class UnauthorizedError(RegistryError):
    """The registry requires credentials, or rejects the specified ones.

    Raised by the registry client and by ``login``.
    """

    exit_status = 7


class UntrustedTokenServiceError(RegistryError):
    """The registry names a token service that may not receive the credentials.

    Fields:
        token_service: the scheme, host and port of the token service.

    Raised by the registry client.
    """

    exit_status = 7

    def __init__(self, message: str, *, token_service: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.token_service = token_service


class DeniedError(RegistryError):
    """The credentials are valid, but do not allow the request.

    Fields:
        action: the denied action, ``pull``, ``push`` or ``delete``; None if unknown.
        repository: the repository, as ``host/path``; None for other resources.

    Raised by the registry client and by the client of container engines.
    """

    exit_status = 7

    def __init__(
        self,
        message: str,
        *,
        action: str | None = None,
        repository: str | None = None,
        status: int | None = None,
        codes: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, status=status, codes=codes, hint=hint)
        self.action = action
        self.repository = repository


class ReadOnlyRegistryError(DeniedError):
    """The registry is in read-only mode, or accepts no pushes at all.

    Raised by the registry client.
    """


class QuotaExceededError(RegistryError):
    """The storage of the registry is full, or the content exceeds a quota.

    Raised by the registry client.
    """

    exit_status = 5


class RefusedNameError(RegistryError):
    """The registry does not accept the name of the repository, the tag or the digest.

    Raised by the registry client.
    """

    exit_status = 2


class RefusedRequestError(RegistryError):
    """A request that the registry, or a proxy before it, refuses in the same way each time.

    Raised by the registry client.
    """

    exit_status = 1


class EngineUnreachableError(RegistryError):
    """A container engine that cannot be reached.

    Fields:
        host: the address of the engine, as ``unix://``, ``http://`` or ``tcp://``.
        os_error: the reason why the connection failed.

    Raised by the client of container engines.
    """

    os_error: OSError

    def __init__(self, host: str, os_error: OSError, *, hint: str | None = None) -> None:
        reason = (os_error.strerror or str(os_error)).lower()
        super().__init__(f"{host}: cannot connect to the container engine: {reason}", hint=hint)
        self.host = host
        self.os_error = os_error
