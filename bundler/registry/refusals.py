"""Errors for responses with an error status, by a registry, its token service or its storage.

Errors are classified by status first, regardless of the body. The text of a response is used only
for conditions that registries report in no other way: immutable tags, quotas, and read-only mode.
"""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from bundler.errors import (
    CREDENTIAL_OPTIONS,
    BundlerError,
    ConflictError,
    DeniedError,
    HttpExchange,
    NotFoundError,
    QuotaExceededError,
    RateLimitedError,
    ReadOnlyRegistryError,
    RefusedNameError,
    RefusedRequestError,
    RegistryError,
    Remedy,
    UnauthorizedError,
    UnsupportedError,
)
from bundler.registry.auth.challenges import parse_challenges
from bundler.registry.auth.origin import Origin, redact
from bundler.registry.error_responses import ErrorResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.config.registry_access import Credentials
    from bundler.registry.exchange.request import Scopes
    from bundler.registry.exchange.response import Response

Login = Literal["anonymous", "unproven", "accepted"]
"""Whether credentials are configured, and whether the registry accepted them in this session."""

Server = Literal["registry", "token service", "storage"]

HTML = ("text/html", "application/xhtml+xml")

UNAVAILABLE = frozenset({408, 425, 500, *range(502, 505), *range(520, 525)})
"""Statuses of a registry that is unavailable, or of a proxy or CDN (520 to 524) in front of it."""
_TEMPORARY = UNAVAILABLE | {429}
_MAX_EXCHANGE_BODY = 200

# Texts of Harbor, Quay, GitLab and Artifactory, and the error of a full disk.
_FULL = re.compile(
    r"quota|storage (?:limit|space)|exceeds? the configured upper limit|disk usage"
    r"|no space left on device|insufficient storage",
    re.IGNORECASE,
)
_READ_ONLY = re.compile(r"read[- ]?only", re.IGNORECASE)
# Harbor returns 412, Quay and Artifactory 409, ECR and Nexus 400; all of them state a text.
_IMMUTABLE = re.compile(r"immutab|already exists|does not allow updating", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """A response with an error status, and the refused request."""

    response: Response
    body: bytes
    """At most ``MAX_BODY`` bytes; for HEAD, those of the same GET."""
    method: str
    subject: str
    """The requested content, for messages."""
    registry: str
    """The ``host[:port]`` of the registry, as the user wrote it."""
    credentials: Credentials
    """The credentials for the registry."""
    scopes: Scopes = ()
    login: Login = "anonymous"
    server: Server = "registry"
    redact_secrets: Callable[[str], str] = str
    """Replaces the secrets in the text of the server."""

    def create_error(self) -> BundlerError:
        """Create the error, with the response in its field ``exchange``."""
        error = self._classify()
        start = self.body[:_MAX_EXCHANGE_BODY].decode("utf-8", "replace")
        error.exchange = HttpExchange(
            self.method,
            redact(self.response.url),
            self.response.status,
            self._stated.entries,
            "" if self._stated.entries else self.redact_secrets(start),
            is_token=self.server == "token service",
        )
        return error

    def _classify(self) -> BundlerError:
        error = (self._classify_capacity() or self._classify_write()) if self._writes else None
        status = self.response.status
        if status == 429 or (400 <= status < 500 and "TOOMANYREQUESTS" in self.codes):
            return RateLimitedError(
                f"{self.subject}: the rate limit of {self._origin} is exceeded{self._detail}",
                status=status,
                codes=self.codes,
                retry_after=_parse_retry_after(self.response.headers),
            )
        if error is not None:
            return error
        refuses_token = self.server == "token service" and self.login == "unproven"
        if status == 407:
            return create_proxy_login_error(f"{self.subject}: {self._origin}", status=407)
        if status == 403 and self._is_page:
            return DeniedError(
                f"{self.subject}: access denied by a proxy or firewall in front of {self._origin} "
                f"({self._phrase}, a web page)",
                action=self._action,
                repository=self._repository,
                status=status,
                hint=f"allow requests to {self._origin} in the proxy or firewall",
            )
        if self.server != "storage" and (status in (401, 403) or (status == 400 and refuses_token)):
            return self._create_access_error()
        if status == 404:
            return self._create_missing_error()
        # A read has no parameter but the name to which status 400 can refer.
        reads_name = self.method in ("GET", "HEAD") and "DIGEST_INVALID" not in self.codes
        refuses_name = reads_name or "NAME_INVALID" in self.codes or self.server == "token service"
        if status == 400 and refuses_name:
            return RefusedNameError(
                f"{self.subject}: {self._origin} does not accept this name{self._detail}",
                status=status,
                codes=self.codes,
                hint="check the name; some registries require HOST/PROJECT/REPOSITORY, or limit "
                "the number of parts",
            )
        if status in (405, 501) or "UNSUPPORTED" in self.codes:
            return UnsupportedError(
                f"{self.subject}: {self._origin} does not support {self.method}{self._detail}"
            )
        return self._create_general_error()

    def _classify_capacity(self) -> BundlerError | None:
        """Return the error if the content is too large for the registry or a proxy."""
        status, text = self.response.status, self._text
        if status == 507 or _FULL.search(text):
            return QuotaExceededError(
                f"{self.subject}: the storage of {self._origin} is full, or a quota is "
                f"exceeded{self._detail}",
                status=status,
                codes=self.codes,
                hint="free space in the registry, or raise the quota, then run again",
            )
        if status == 413:
            sender = "the registry" if self._stated.entries else "a proxy in front of the registry"
            return RefusedRequestError(
                f"{self.subject}: {sender} limits the size of uploads "
                f"({self._phrase} by {self._origin}){self._detail}",
                status=status,
                codes=self.codes,
                hint="raise the limit of the proxy (client_max_body_size in nginx)",
            )
        return None

    def _classify_write(self) -> BundlerError | None:
        """Return the error for a registry condition that prevents writing; None otherwise."""
        status, text = self.response.status, self._text
        if self.method in ("PUT", "DELETE") and (
            status in (409, 412) or (400 <= status < 500 and _IMMUTABLE.search(text))
        ):
            return ConflictError(
                f"{self.subject}: immutable in the registry{self._detail}",
                hint="choose another tag, or allow changes in the registry",
            )
        refuses_pushes = status == 405 and self.method in ("POST", "PUT")
        if refuses_pushes or (status >= 400 and _READ_ONLY.search(text)):
            return ReadOnlyRegistryError(
                f"{self.subject}: {self._origin} is read-only{self._detail}",
                action=self._action,
                repository=self._repository,
                status=status,
                codes=self.codes,
                hint="end the read-only mode of the registry, or use a registry that accepts "
                "pushes, then run again",
            )
        puts_manifest = self.method == "PUT" and "/manifests/" in self.response.url
        if status == 404 and puts_manifest and "NAME_UNKNOWN" not in self.codes:
            return RefusedRequestError(
                f"{self.subject}: {self._origin} lacks content that this manifest "
                f"lists{self._detail}",
                status=status,
                codes=self.codes,
                hint="run again to push the content that the registry has lost; many registries "
                "require every manifest of an index",
            )
        return None

    def _create_access_error(self) -> RegistryError:
        """Create the error for a denied request, depending on the state of the credentials."""
        status, codes = self.response.status, self.codes
        if self.login == "accepted" or (status == 403 and self.server == "registry"):
            permission = f"{self._action} permission" if self._action else "permission"
            remedies = [Remedy(f"request {permission} for {self._repository or self._origin}")]
            if self.login == "accepted":
                remedies.insert(0, Remedy("check that the project exists"))
            else:
                remedies = [*list_login_remedies(self.registry, self.credentials), *remedies]
            remedies.append(Remedy("add {option} to skip images that fail", "keep-going"))
            return DeniedError(
                f"{self.subject}: no {permission}, or no such repository or project{self._detail}",
                action=self._action,
                repository=self._repository,
                status=status,
                codes=codes,
            ).suggest(*remedies)
        problem = f"{self._sender} does not accept the credentials"
        if self.login == "anonymous":
            problem = f"{self._sender} requires credentials"
        return UnauthorizedError(
            f"{self.subject}: {problem}{self._detail}", status=status, codes=codes
        ).suggest(*list_login_remedies(self.registry, self.credentials))

    def _create_missing_error(self) -> NotFoundError:
        if self._is_page:
            return NotFoundError(
                f"{self.subject}: not found ({self._origin} returned a web page: not a registry, "
                "or a proxy in front of it)",
                hint="check the host and the port",
            )
        hint = None
        if self._writes and self.method != "DELETE":
            hint = "create the repository first: this registry creates none on a push"
        elif "NAME_UNKNOWN" in self.codes or "MANIFEST_UNKNOWN" in self.codes:
            hint = "check the name; some registries show private repositories only after login"
            if self.login == "accepted":
                hint = "check the name; some registries hide repositories from unauthorized users"
        return NotFoundError(f"{self.subject}: not found{self._detail}", hint=hint)

    def _create_general_error(self) -> RegistryError:
        status = self.response.status
        message = (
            f"{self.subject}: {self.method} {redact(self.response.url)} returned {self._phrase}"
            f"{self._detail}"
        )
        # An expired signed URL returns 403; after a retry, the registry signs a new one.
        temporary = status in _TEMPORARY or (self.server == "storage" and status in (401, 403))
        if not temporary:
            hint = "log in to the network (open any page in a browser)" if status == 511 else None
            return RefusedRequestError(message, status=status, codes=self.codes, hint=hint)
        retry_after = _parse_retry_after(self.response.headers) if status == 503 else None
        hint = None
        if status == 500:
            disk = " and its free disk space" if self._writes else ""
            hint = f"see the log of {self._origin}{disk}"
        return RegistryError(
            message,
            status=status,
            codes=self.codes,
            temporary=temporary,
            retry_after=retry_after,
            hint=hint,
        )

    @property
    def codes(self) -> tuple[str, ...]:
        """The error codes of the response."""
        return self._stated.codes

    @cached_property
    def _stated(self) -> ErrorResponse:
        challenges = parse_challenges(self.response.challenges)
        return ErrorResponse.parse(
            self.body,
            status=self.response.status,
            media_type=self.response.media_type,
            challenge=next((item for item in challenges if item.scheme == "bearer"), None),
            redact_secrets=self.redact_secrets,
        )

    @property
    def _is_page(self) -> bool:
        return self.response.media_type in HTML

    @property
    def _text(self) -> str:
        """The reason in the response; empty for an HTML page."""
        return self._stated.text

    @property
    def _detail(self) -> str:
        return f" ({self._text})" if self._text else ""

    @property
    def _phrase(self) -> str:
        try:
            return f"{self.response.status} {HTTPStatus(self.response.status).phrase}"
        except ValueError:
            return str(self.response.status)

    @property
    def _origin(self) -> Origin:
        return Origin.of(self.response.url)

    @property
    def _sender(self) -> str:
        if self.server == "token service":
            return f"the token service {redact(self.response.url)}"
        return str(self._origin)

    @property
    def _writes(self) -> bool:
        return self.server != "token service" and self.method not in ("GET", "HEAD")

    @property
    def _action(self) -> str | None:
        """The denied action; a token service denies all requested actions at once."""
        if self._repository is None:
            return None
        if self.method == "DELETE" or any(scope.endswith(":delete") for scope in self.scopes):
            return "delete"
        # A destination is also read, for which its user needs the permission to push.
        is_pushed = self._writes or "push" in self.scopes[0].rpartition(":")[2]
        return "push" if is_pushed else "pull"

    @property
    def _repository(self) -> str | None:
        kind, _, rest = self.scopes[0].partition(":") if self.scopes else ("", "", "")
        return f"{self.registry}/{rest.rpartition(':')[0]}" if kind == "repository" else None


def list_login_remedies(registry: str, credentials: Credentials) -> list[Remedy]:
    """Return the steps that provide credentials other than ``credentials``."""
    if credentials.file is not None:
        verb = "specify" if credentials.anonymous else "check the"
        text = f"{verb} credentials for {registry} in {credentials.file}"
        return [Remedy(text)]
    login = f"airbundle login {registry}"
    if credentials.authfile is not None:
        login = f"airbundle login --authfile {shlex.quote(str(credentials.authfile))} {registry}"
    if credentials.anonymous:
        # Options with credentials belong to the other side of the command.
        unused = Remedy("", "no-creds", given="leave out {option}")
        return [Remedy(login, unless=("no-creds",)), unused]
    check = "check the credentials in {option}"
    options = [Remedy("", option, given=check) for option in CREDENTIAL_OPTIONS]
    return [Remedy(login, unless=CREDENTIAL_OPTIONS), *options]


def create_proxy_login_error(subject: str, *, status: int) -> UnauthorizedError:
    """Create the error for a proxy that requires credentials, or refuses the specified ones."""
    return UnauthorizedError(
        f"{subject}: the proxy requires credentials, or does not accept the specified ones",
        status=status,
        hint="set HTTPS_PROXY and HTTP_PROXY to http://USER:PASSWORD@PROXY:PORT, or list the host "
        "in NO_PROXY",
    )


def refuse_html(response: Response) -> None:
    """Raise RefusedRequestError if a response is an HTML page, which no registry sends."""
    if response.media_type in HTML:
        raise RefusedRequestError(
            f"{Origin.of(response.url)}: the response is a web page (HTML): not a registry, or "
            "behind a login page or a proxy",
            status=response.status,
            hint="check the host and the port, or open the page in a browser",
        )


def _parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the delay of Retry-After in seconds; None if it is absent or invalid."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal() and len(text) <= 9:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
