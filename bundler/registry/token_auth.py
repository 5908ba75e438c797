"""Prove to a registry who asks: basic, or bearer tokens from the service that it names.

Tokens are kept for each scope and renewed before they expire, or when the registry refuses one.

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
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from bundler.errors import MalformedError, RegistryError, UnauthorizedError
from bundler.oci.json import strict
from bundler.registry import errors
from bundler.registry.challenge import parse_challenges
from bundler.registry.origin import Origin, check_hop, is_same_site, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.config.registry_access import Credentials
    from bundler.registry.challenge import Challenge
    from bundler.registry.response import Response

CLIENT_ID = "airbundle"
_MAX_TOKEN_BODY = 1024 * 1024
_DEFAULT_LIFETIME = 60.0  # what the specification says of a token without expires_in
_LONGEST_LIFETIME = 3600.0
_MARGIN = 15.0
_VISIBLE = re.compile(r"[!-~]+")

Scopes = tuple[str, ...]
"""``repository:library/app:pull,push``; what a request needs."""


class TokenTransport(Protocol):
    """Makes one request to a token service, and returns its answer whatever its status."""

    def __call__(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, /
    ) -> Response:
        """The method, the URL, headers and the body."""
        ...


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    renew_at: float


@dataclass(frozen=True, slots=True)
class _Service:
    """A token service, as a challenge describes it."""

    realm: str
    service: str | None


class Authenticator:
    """The ``Authorization`` of every request to one registry; for any number of threads.

    Args:
        credentials: who asks.
        what: how messages name the registry.
        exchange: how to reach a token service.
        resolve: whether names can be looked up here (behind a proxy they often cannot).
    """

    def __init__(
        self, credentials: Credentials, what: str, exchange: TokenTransport, *, resolve: bool
    ) -> None:
        self._credentials = credentials
        self._what = what
        self._exchange = exchange
        self._resolve = resolve
        self._identity_token = credentials.identity_token
        self._basic = False
        self._service: _Service | None = None
        self._tokens: dict[Scopes, _Token] = {}
        self._locks: defaultdict[Scopes, threading.Lock] = defaultdict(threading.Lock)

    def get_authorization(self, scopes: Scopes) -> str | None:
        """The header for a request that needs ``scopes``; None as long as nothing was asked for.

        Raises:
            UnauthorizedError: the token service refuses the credentials.
            RegistryError: it cannot be reached, or must not be trusted.
        """
        if self._credentials.registry_token is not None:
            return f"Bearer {self._credentials.registry_token}"
        if self._basic:
            return _basic(self._credentials)
        service = self._service
        if service is None:
            return None
        with self._locks[scopes]:
            token = self._tokens.get(scopes)
            if token is None or time.monotonic() >= token.renew_at:
                token = self._tokens[scopes] = self._fetch(service, scopes)
            return token.header

    def answer_challenge(
        self, registry: Origin, fields: Sequence[str], scopes: Scopes, rejected: str | None
    ) -> None:
        """Take up the challenge of a 401, so that ``authorization`` has a better answer.

        Args:
            registry: who challenges.
            fields: its WWW-Authenticate fields.
            scopes: what the request needed.
            rejected: the header that was not good enough; None: there was none.

        Raises:
            UnauthorizedError: there is no better answer.
        """
        challenges = {
            challenge.scheme: challenge for challenge in reversed(parse_challenges(fields))
        }
        if self._credentials.registry_token is not None:
            raise self._unauthorized("its token is not accepted")
        if bearer := challenges.get("bearer"):
            self._learn_bearer(registry, bearer, scopes, rejected)
        elif "basic" in challenges:
            if self._credentials.username is None:
                raise self._unauthorized("it wants a user name and a password")
            if rejected is not None and self._basic:
                raise self._unauthorized("the user name or the password is wrong")
            self._basic = True
        else:
            known = ", ".join(sorted(challenges))[:80] or "nothing"
            raise self._unauthorized(f"it takes {known}, which is neither basic nor bearer")

    def discard_token(self, scopes: Scopes, rejected: str | None) -> None:
        """Use the token ``rejected`` no more."""
        with self._locks[scopes]:
            token = self._tokens.get(scopes)
            if token is not None and token.header == rejected:
                del self._tokens[scopes]

    def redact_body(self, body: bytes) -> bytes:
        """``body``, which is going to be shown, without any secret that the server repeats."""
        known = self._credentials
        secrets = [known.password, known.identity_token, known.registry_token, self._identity_token]
        secrets += [token.header.partition(" ")[2] for token in list(self._tokens.values())]
        if known.username is not None:
            secrets.append(_basic(known).partition(" ")[2])
        for secret in filter(None, secrets):
            for spelling in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
                body = body.replace(spelling.encode(), b"***")
        return body

    def check_token_service(self, registry: Origin, url: str) -> None:
        """Refuse a token service, or a place it sends us on to, that must not be contacted.

        Raises:
            RegistryError: it lacks TLS where the registry has it, or lies where it may not.
        """
        target = Origin.of(url)
        if target.scheme == "http" and registry.scheme == "https":
            raise RegistryError(f"{registry}: its token service {target} has no TLS: refused")
        check_hop(registry, target, resolve=self._resolve)

    def _learn_bearer(
        self, registry: Origin, challenge: Challenge, scopes: Scopes, rejected: str | None
    ) -> None:
        realm = challenge.parameters.get("realm", "")
        self.check_token_service(registry, realm)
        anonymous = self._credentials.anonymous
        if not anonymous and not is_same_site(registry, Origin.of(realm), resolve=self._resolve):
            raise RegistryError(
                f"{registry}: it wants the credentials to be sent to {Origin.of(realm)}, "
                "which does not belong to it: refused",
                hint="ask the registry's operator for a token service below the same domain",
            )
        service = _Service(realm, challenge.parameters.get("service"))
        with self._locks[scopes]:
            token = self._tokens.get(scopes)
            if token is not None and token.header != rejected:
                return  # another thread was quicker
            if token is not None and challenge.parameters.get("error") == "insufficient_scope":
                raise self._unauthorized("the credentials do not allow this")
            wanted = _merged(scopes, challenge.parameters.get("scope", "").split())
            fresh = self._fetch(service, wanted)
            if token is not None and token.header == fresh.header:
                raise self._unauthorized("its token service gives a token that it does not accept")
            self._tokens[scopes] = fresh
            self._service = service
            self._basic = False

    def _fetch(self, service: _Service, scopes: Scopes) -> _Token:
        if self._identity_token is not None:
            answer = self._ask_with_identity_token(service, scopes)
        else:
            answer = self._ask(service, scopes)
        with answer:
            if answer.status in (400, 401, 403):
                refusal = self._unauthorized("its token service refuses the credentials")
                said = self.redact_body(answer.read_prefix(errors.MAX_ERROR_BODY))
                refusal.exchange = errors.describe_exchange(
                    answer.status, said, method="GET", url=answer.url
                )
                raise refusal
            if answer.status == 404 and self._identity_token is not None:
                raise self._unauthorized("its token service takes no identity tokens")
            if errors.is_html(answer.headers):
                raise errors.from_html_response(answer.url, status=answer.status)
            what = f"the token service {redact(service.realm)}"
            body = answer.read(_MAX_TOKEN_BODY, what)
            if answer.status != 200:
                raise errors.from_response(
                    answer.status,
                    answer.headers,
                    self.redact_body(body[: errors.MAX_ERROR_BODY]),
                    request=("GET", answer.url),
                    subject=what,
                    registry=None,
                )
        return self._parse(body, what)

    def _ask(self, service: _Service, scopes: Scopes) -> Response:
        query = [("service", service.service)] if service.service else []
        query += [("scope", scope) for scope in scopes]
        headers = {}
        if self._credentials.username is not None:
            query.append(("account", self._credentials.username))
            headers["Authorization"] = _basic(self._credentials)
        parts = urlsplit(service.realm)
        query = [*parse_qsl(parts.query, keep_blank_values=True), *query]
        url = urlunsplit(parts._replace(query=urlencode(query), fragment=""))
        return self._exchange("GET", url, headers, None)

    def _ask_with_identity_token(self, service: _Service, scopes: Scopes) -> Response:
        form = {
            "grant_type": "refresh_token",
            "service": service.service or "",
            "client_id": CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": self._identity_token or "",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._exchange("POST", service.realm, headers, urlencode(form).encode())

    def _parse(self, body: bytes, what: str) -> _Token:
        try:
            value = strict.load_object(body, subject="token")
        except MalformedError as error:
            raise errors.from_malformed_document(what, error) from None
        token = value.get("token") or value.get("access_token")
        if not isinstance(token, str) or _VISIBLE.fullmatch(token) is None:
            raise RegistryError(f"{what}: its answer holds no token")
        if self._identity_token is not None and isinstance(value.get("refresh_token"), str):
            self._identity_token = value["refresh_token"] or self._identity_token
        lifetime = value.get("expires_in")
        if not isinstance(lifetime, int | float) or lifetime <= 0:
            lifetime = _DEFAULT_LIFETIME
        lifetime = min(float(lifetime), _LONGEST_LIFETIME)
        margin = min(_MARGIN, lifetime / 4)
        return _Token(f"Bearer {token}", time.monotonic() + lifetime - margin)

    def _unauthorized(self, reason: str) -> UnauthorizedError:
        return UnauthorizedError(
            f"{self._what}: {reason}", status=401, hint=f"airbundle login {self._what}"
        )


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password or ''}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _merged(ours: Scopes, theirs: Sequence[str]) -> Scopes:
    """What the registry asks for, with all that we shall need of the same resources.

    A registry knows its resources by names of its own, so those of its challenge count.
    """
    if not theirs:
        return ours
    needed = dict(scope.rsplit(":", 1) for scope in ours)
    merged = []
    for scope in theirs[:16]:
        resource, _, actions = scope.rpartition(":")
        more = [one for one in needed.get(resource, "").split(",") if one]
        merged.append(f"{resource}:{','.join(dict.fromkeys([*actions.split(','), *more]))}")
    return tuple(merged)
