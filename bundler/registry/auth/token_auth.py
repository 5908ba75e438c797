"""Registry authentication: the Basic scheme, and bearer tokens from a token service.

Tokens are cached by scope, and renewed before they expire or after the registry refuses one.

https://distribution.github.io/distribution/spec/auth/token/
https://distribution.github.io/distribution/spec/auth/oauth/
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bundler.errors import (
    BundlerError,
    CancelledError,
    LimitError,
    MalformedError,
    RefusedRequestError,
    UnauthorizedError,
)
from bundler.oci.json import strict
from bundler.registry import errors, refusals
from bundler.registry.auth.challenges import Challenge, parse_challenges
from bundler.registry.auth.origin import Origin, redact
from bundler.registry.error_responses import MAX_BODY
from bundler.registry.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.config.registry_access import Credentials
    from bundler.registry.auth.host_rules import HostRules
    from bundler.registry.exchange.request import Scopes
    from bundler.registry.exchange.response import Response
    from bundler.registry.refusals import Login

    TokenTransport = Callable[[str, str, dict[str, str], bytes | None], Response]
    """Function that sends a request (method, URL, headers, body) and returns its response."""

CLIENT_ID = "airbundle"
_MAX_TOKEN_BODY = 1024 * 1024
_MAX_TOKEN = 64 * 1024  # registries accept headers of 8 KiB to 1 MiB
_DEFAULT_LIFETIME = 60.0  # seconds; the default of the specification for a token without expires_in
_LONGEST_LIFETIME = 3600.0
_MARGIN = 15.0
_SHORT_SECRET = 8  # characters
_VISIBLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    renew_at: float


class Authenticator:
    """Provider of ``Authorization`` headers for requests to one registry; thread-safe."""

    def __init__(
        self, credentials: Credentials, registry: str, transport: TokenTransport, rules: HostRules
    ) -> None:
        self._credentials = credentials
        self._registry = registry
        self._transport = transport
        self._rules = rules
        self._identity_token = credentials.identity_token
        self._accepted = False
        self._basic = False
        self._challenge: Challenge | None = None
        """The challenge that describes the token service."""
        self._tokens: dict[Scopes, _Token] = {}
        self._locks: defaultdict[Scopes, threading.Lock] = defaultdict(threading.Lock)

    def get_authorization(self, scopes: Scopes) -> str | None:
        """Return the header for a request with ``scopes``; None before the first challenge.

        Raises:
            UnauthorizedError: the token service refuses the credentials.
            RegistryError: the token service cannot be reached.
        """
        if self._credentials.registry_token is not None:
            return f"Bearer {self._credentials.registry_token}"
        if self._basic:
            return _to_basic(self._credentials)
        challenge = self._challenge
        if challenge is None:
            return None
        with self._locks[scopes]:
            token = self._tokens.get(scopes)
            if token is None or time.monotonic() >= token.renew_at:
                token = self._tokens[scopes] = self._fetch_token(challenge, scopes)
            return token.header

    @property
    def login(self) -> Login:
        """Whether credentials are configured, and whether the registry accepted them."""
        if self._credentials.anonymous:
            return "anonymous"
        return "accepted" if self._accepted else "unproven"

    def record_answer(self, authorization: str | None, status: int) -> None:
        """Record the status of a registry response; a success proves the credentials valid."""
        if authorization is not None and (status < 400 or status == 404):
            self._accepted = True

    def find_challenge(
        self, fields: Sequence[str], rejected: str | None, *, repeated: bool
    ) -> Challenge | None:
        """Return the challenge of a 401 to answer; None if no answer would change the result.

        ``fields`` are the WWW-Authenticate fields, and ``rejected`` is the Authorization header of
        the request; None if it had none. ``repeated`` is True if a challenge of the same request
        was answered before. A refused token is renewed once; it is never replaced by a password.
        """
        if self._credentials.registry_token is not None:
            return None
        parsed = parse_challenges(fields)
        challenges = {challenge.scheme: challenge for challenge in reversed(parsed)}
        if bearer := challenges.get("bearer"):
            lacks_right = bearer.parameters.get("error") == "insufficient_scope"
            return None if rejected is not None and lacks_right else bearer
        if rejected is not None and not self._basic:
            # Harbor responds to a refused token with a Basic challenge or without a challenge.
            return None if repeated else self._challenge
        has_password = self._credentials.username is not None
        return challenges.get("basic") if rejected is None and has_password else None

    def answer_challenge(
        self, registry: Origin, challenge: Challenge, scopes: Scopes, rejected: str | None
    ) -> None:
        """Answer a challenge from ``find_challenge``, for the next ``get_authorization``.

        Raises:
            UnauthorizedError: the token service refuses the credentials.
            DeniedError: the token service accepts the credentials, but denies access.
            RegistryError: the token service cannot be reached, or is not allowed to receive the
                credentials.
        """
        if challenge.scheme != "bearer":
            self._basic = True
            return
        realm = challenge.parameters.get("realm", "")
        self._rules.check_token_service(registry, realm)
        if not self._credentials.anonymous:
            self._rules.check_realm(registry, Origin.of(realm))
        with self._locks[scopes]:
            token = self._tokens.get(scopes)
            if token is not None and token.header != rejected:
                return  # another thread renewed the token
            # Use the resources of the challenge: a registry may have other names for them.
            needed = dict(scope.rsplit(":", 1) for scope in scopes)
            merged = []
            for scope in challenge.parameters.get("scope", "").split()[:16]:
                resource, _, actions = scope.rpartition(":")
                more = [action for action in needed.get(resource, "").split(",") if action]
                merged.append(f"{resource}:{','.join(dict.fromkeys([*actions.split(','), *more]))}")
            self._tokens[scopes] = self._fetch_token(challenge, tuple(merged) or scopes)
            self._challenge = challenge
            self._basic = False

    def discard_token(self, scopes: Scopes, rejected: str | None) -> None:
        """Remove the token of the header ``rejected`` from the cache."""
        with self._locks[scopes]:
            token = self._tokens.get(scopes)
            if token is not None and token.header == rejected:
                del self._tokens[scopes]

    def redact(self, text: str) -> str:
        """Return text of a server with all secrets replaced, because it may repeat them.

        A short secret is replaced only as a whole word, since it occurs in other words by chance.
        """
        known = self._credentials
        secrets = [known.password, known.identity_token, known.registry_token, self._identity_token]
        secrets += [token.header.partition(" ")[2] for token in list(self._tokens.values())]
        if known.username is not None:
            secrets.append(_to_basic(known).partition(" ")[2])
        for secret in filter(None, secrets):
            for spelling in {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}:
                pattern = re.escape(spelling)
                if len(secret) < _SHORT_SECRET:
                    pattern = rf"(?<![^\W_]){pattern}(?![^\W_])"
                text = re.sub(pattern, "***", text)
        return text

    def _fetch_token(self, challenge: Challenge, scopes: Scopes) -> _Token:
        realm = challenge.parameters["realm"]
        subject = f"the token service {redact(realm)}"
        with self._request(realm, challenge.parameters.get("service"), scopes) as response:
            if response.status != 200:
                raise self._create_refusal(response, challenge, scopes)
            refusals.refuse_html(response)
            body = response.read(_MAX_TOKEN_BODY, subject)
        try:
            value = strict.load_object(body, subject="token")
        except MalformedError as error:
            raise errors.create_parse_error(subject, error) from None
        token = value.get("token") or value.get("access_token")
        if isinstance(token, str) and len(token) > _MAX_TOKEN:
            raise LimitError(
                f"{subject}: a token of more than the {_MAX_TOKEN:,} characters allowed"
            )
        if not isinstance(token, str) or _VISIBLE.fullmatch(token) is None:
            raise RefusedRequestError(f"{subject}: the response contains no token")
        if self._identity_token is not None and isinstance(value.get("refresh_token"), str):
            self._identity_token = value["refresh_token"] or self._identity_token
        lifetime = value.get("expires_in")
        if not isinstance(lifetime, int | float) or lifetime <= 0:
            lifetime = _DEFAULT_LIFETIME
        lifetime = min(float(lifetime), _LONGEST_LIFETIME)
        margin = min(_MARGIN, lifetime / 4)
        # The target of a redirect has not received the credentials.
        self._accepted = self._accepted or Origin.of(response.url) == Origin.of(realm)
        return _Token(f"Bearer {token}", time.monotonic() + lifetime - margin)

    def _request(self, realm: str, service: str | None, scopes: Scopes) -> Response:
        if self._identity_token is not None:
            form = {
                "grant_type": "refresh_token",
                "service": service or "",
                "client_id": CLIENT_ID,
                "scope": " ".join(scopes),
                "refresh_token": self._identity_token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._transport("POST", realm, headers, urlencode(form).encode())
        parts, headers = urlsplit(realm), {}
        query = parse_qsl(parts.query, keep_blank_values=True)
        if service:
            query.append(("service", service))
        query += [("scope", scope) for scope in scopes]
        if self._credentials.username is not None:
            query.append(("account", self._credentials.username))
            headers["Authorization"] = _to_basic(self._credentials)
        url = urlunsplit(parts._replace(query=urlencode(query), fragment=""))
        return self._transport("GET", url, headers, None)

    def _create_refusal(
        self, response: Response, challenge: Challenge, scopes: Scopes
    ) -> BundlerError:
        """Create the error for a refusal by the token service.

        Some services deny a scope with the status for a wrong password. A request for a token
        without a scope shows whether they accept the credentials.
        """
        if response.status in (404, 405) and self._identity_token is not None:
            return UnauthorizedError(
                f"{self._registry}: the token service does not support identity tokens",
                status=response.status,
            ).suggest(*refusals.list_login_remedies(self._registry, self._credentials))
        body = response.read_prefix(MAX_BODY)
        proves = scopes and self.login == "unproven" and response.status in (400, 403)
        if proves and self._identity_token is None:
            try:
                self._fetch_token(challenge, ())
            except CancelledError:
                raise
            except BundlerError:
                pass  # the refusal of the first request is reported
        refusal = Refusal(
            response,
            body,
            method="GET",
            subject=self._registry,
            registry=self._registry,
            credentials=self._credentials,
            scopes=scopes,
            login=self.login,
            server="token service",
            redact_secrets=self.redact,
        )
        return refusal.create_error()


def _to_basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password or ''}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
