"""Errors of registries and of container engines."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from bundler.errors.base import BundlerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class RegistryError(BundlerError):
    """A request to a registry or to a container engine that failed.

    Fields:
        status: the HTTP status; None if there was no answer.
        codes: the error codes of the distribution specification.
        temporary: whether the same request may succeed later.
        retry_after: the number of seconds after which to retry, from the response; None if unset.

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


class CertificateProblem(StrEnum):
    """Why a server's certificate is not trusted."""

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
        problem: why.
        host: the name or address that the certificate had to be valid for.
        verify_code: OpenSSL's code of the problem.
        verify_message: OpenSSL's text for it.
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
    """More requests than the registry allows; ``retry_after`` as in its base.

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
    """The registry requires credentials, or does not accept those that were given.

    Raised by the registry client and by ``login``.
    """

    exit_status = 7


class DeniedError(RegistryError):
    """The credentials are valid, but do not allow the request.

    Raised by the registry client and by the client of container engines.
    """

    exit_status = 7


class EngineUnreachableError(RegistryError):
    """No container engine answers.

    Fields:
        host: where it was expected to listen, as ``unix://``, ``http://`` or ``tcp://``.
        os_error: why no connection could be made.

    Raised by the client of container engines.
    """

    os_error: OSError

    def __init__(self, host: str, os_error: OSError, *, hint: str | None = None) -> None:
        reason = (os_error.strerror or str(os_error)).lower()
        super().__init__(f"{host}: no container engine answers: {reason}", hint=hint)
        self.host = host
        self.os_error = os_error
