"""Errors of registries and container engines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self

from bundler.errors.base import BundlerError, describe_next_run
from bundler.errors.content import DigestMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

CREDENTIAL_OPTIONS = ("creds", "username", "registry-token")
"""The options of a command that specify the credentials, without a prefix for the side."""


class Remedy(NamedTuple):
    """One alternative in the hint of an error of a registry.

    An error is created where the command is unknown. The front end selects the remedies that the
    command offers, and names its options.

    Fields:
        text: the next step; ``{option}`` is the option in the spelling of the command.
        option: the option of the command that it needs, without a prefix; None if it needs none.
        given: the next step if the command line already contains the option, with ``{value}``;
            None: the remedy does not apply then.
        unless: options whose use makes the remedy useless.
        in_file: whether it is a setting under ``registries`` of a bundle manifest, or in a target
            file.
    """

    text: str
    option: str | None = None
    given: str | None = None
    unless: tuple[str, ...] = ()
    in_file: bool = False

    def format(self, option: str = "") -> str:
        """Return the text for ``option`` in the spelling of the command."""
        return self.text.replace("{option}", option)

    def format_given(self, option: str, value: str) -> str | None:
        """Return the text if the command line contains ``option`` with ``value``."""
        return self.given and self.given.replace("{option}", option).replace("{value}", value)


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
        registry: the ``host[:port]`` of the registry, as the user wrote it; None if unknown.
        codes: the error codes of the distribution specification.
        temporary: whether the same request may succeed later.
        remedies: the alternatives in the hint, from which a front end selects.
        retry_after: the number of seconds after which to retry, from the response; None if unset.
        patience: the number of seconds for which to retry; 0: not at all; None: the default.
        outage: the outage of the host that the error belongs to; None: the host answered.
        unavailable_for: the number of seconds for which it was retried in vain; None if it was not.

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
        self.registry: str | None = None
        self.codes = tuple(codes)
        self.temporary = temporary
        self.retry_after = retry_after
        self.patience: float | None = None
        self.outage: Outage | None = None
        self.unavailable_for: float | None = None
        self.remedies: tuple[Remedy, ...] = ()
        self.hint_prefix = ""

    def add_outage(self, seconds: float) -> None:
        """Add how long the host was unavailable, and the next step after an outage."""
        if self.unavailable_for is None:
            self.unavailable_for = seconds
            self.message += f"; it was unavailable for {seconds:.0f} s"
            self._suggest_next_run(None)

    def state_kept(self, keeps_blobs: bool) -> None:
        """Add to the hint after an outage whether the next run finds the complete blobs."""
        if self.unavailable_for is not None:
            self._suggest_next_run(keeps_blobs)

    def _suggest_next_run(self, keeps_blobs: bool | None) -> None:
        self.suggest(
            Remedy(describe_next_run(keeps_blobs)),
            Remedy("allow more time with {option}", "patience"),
        )

    def suggest(self, *remedies: Remedy, prefix: str = "") -> Self:
        """Set the alternatives of the hint, which begins with ``prefix``; return this error."""
        self.remedies, self.hint_prefix = remedies, prefix
        texts = (item.format(f"--{item.option}") for item in remedies if item.text)
        self.hint = join_remedies(prefix, texts)
        return self


class StalledError(RegistryError):
    """A server that was silent, or too slow, for longer than a limit.

    Fields:
        host: the address of the server.
        limit: the limit, in seconds.

    Raised by the registry client and by the client of container engines.
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
        )
        lower = "lower limits: {requestsPerSecond: …} for this registry"
        self.suggest(Remedy("wait and run again"), Remedy(lower, in_file=True))


class UnauthorizedError(RegistryError):
    """The registry requires credentials, or rejects the specified ones.

    Raised by the registry client and by ``login``.
    """

    exit_status = 7


class LoginError(UnauthorizedError):
    """A login to an OpenID Connect provider that failed.

    Fields:
        issuer: the URL of the provider.
        code: the error code of OAuth 2.0, such as ``access_denied`` or ``expired_token``; None if
            the provider sent none.

    Raised by the logins of keyless signing.
    """

    def __init__(
        self, issuer: str, message: str, *, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.issuer = issuer
        self.code = code

    @classmethod
    def refused(cls, issuer: str, code: str | None) -> Self:
        """Create the error for an error code of a provider."""
        problem, hint = _LOGIN_REFUSALS.get(
            code or "", (f"the provider refuses the login: {code}", None)
        )
        return cls(issuer, f"OIDC provider {issuer}: {problem}", code=code, hint=hint)


_LOGIN_REFUSALS = {
    "access_denied": ("the login was denied", "run again, and confirm the login"),
    "expired_token": ("the login was not confirmed in time", "run again"),
}
"""The problem and the hint, by the error code."""


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
    """A request that fails in the same way each time.

    The registry or a proxy in front of it refuses the request, or its response cannot be accepted.

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


def join_remedies(prefix: str, texts: Iterable[str]) -> str | None:
    """Return the hint that offers the alternatives; None if there are none."""
    alternatives = ", or ".join(texts)
    return f"{prefix}{alternatives}" if alternatives else None


class MisreportedDigestError(DigestMismatchError):
    """A registry that reports another digest than that of the content it sent or received.

    Raised by the registry client.
    """
