"""An OpenID Connect provider: its configuration, and requests to its token endpoint.

All responses are untrusted and limited in size. Redirects are not followed, because requests may
contain a secret. A provider with TLS cannot name endpoints without TLS.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlencode

from bundler.errors import BundlerError, LoginError
from bundler.oci.json.base64_strict import encode, encode_url
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.trust.web_service import Reply, Send

SCOPE = "openid email"
"""The scope of all requests: the identity token contains the email address."""

_MAX_RESPONSE = 1024 * 1024
_MAX_URL = 2048
_URL = re.compile(r"https?://[^\s/?#@\\]+(?:/[^\s#@\\]*)?")
_CODE = re.compile(r"[a-z_]{1,40}")
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_PKCE_WITHOUT_NOTICE = re.compile(r"https://login\.microsoftonline\.(?:com|us)/")
"""A provider that supports PKCE, although its configuration does not say so."""


@dataclass(frozen=True, slots=True)
class Client:
    """The registration of this program at a provider."""

    id: str
    secret: str | None = field(default=None, repr=False)
    """None: a public client."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The configuration of a provider; an endpoint is None if the provider does not have it."""

    issuer: str
    token_url: str
    keys_url: str
    authorization_url: str | None
    device_url: str | None
    algorithms: tuple[str, ...]
    """The algorithms with which it signs identity tokens."""
    takes_secret_in_body: bool
    """Whether the client sends its secret in the body, and not in the header, of a request."""


@dataclass(frozen=True, slots=True)
class TokenReply:
    """A response of the token endpoint: an identity token, or an error code of OAuth 2.0."""

    identity_token: str | None = field(default=None, repr=False)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CodeVerifier:
    """A secret for one login, and its hash, which is sent first (PKCE, RFC 7636)."""

    secret: str = field(repr=False)

    @classmethod
    def create(cls) -> CodeVerifier:
        """Create a random secret."""
        return cls(secrets.token_urlsafe(48))

    def to_challenge(self) -> dict[str, str]:
        """Return the parameters of the request with which the login begins."""
        digest = hashlib.sha256(self.secret.encode()).digest()
        return {"code_challenge": encode_url(digest), "code_challenge_method": "S256"}


def discover(send: Send, issuer: str) -> Provider:
    """Read the configuration of a provider.

    Raises:
        LoginError: the configuration is missing or malformed, is that of another provider, or
            states that PKCE is not supported.
        RegistryError: there is no response.
    """
    subject = f"OIDC provider {issuer}"
    url = f"{issuer.removesuffix('/')}/.well-known/openid-configuration"
    table = parse_reply(send("GET", url, subject=subject), issuer, subject)
    try:
        if table.text("issuer") != issuer:
            raise table.problem("the configuration is that of another issuer")
        authorization_url = _parse_url(table, "authorization_endpoint", issuer)
        takes_pkce = "S256" in table.texts("code_challenge_methods_supported")
        if not takes_pkce and not _PKCE_WITHOUT_NOTICE.match(authorization_url or ""):
            raise table.problem("the provider does not support PKCE with S256")
        token_url = _parse_url(table, "token_endpoint", issuer)
        keys_url = _parse_url(table, "jwks_uri", issuer)
        if token_url is None or keys_url is None:
            raise table.problem("token_endpoint or jwks_uri is missing")
        methods = table.texts("token_endpoint_auth_methods_supported")
        return Provider(
            issuer,
            token_url,
            keys_url,
            authorization_url,
            _parse_url(table, "device_authorization_endpoint", issuer),
            table.texts("id_token_signing_alg_values_supported") or ("RS256",),
            "client_secret_post" in methods and "client_secret_basic" not in methods,
        )
    except LoginError:
        raise
    except BundlerError as error:
        raise LoginError(issuer, error.message) from None


def _parse_url(table: Table, name: str, issuer: str) -> str | None:
    url = table.optional_text(name)
    if url is None:
        return None
    is_weaker = issuer.startswith("https:") and not url.startswith("https:")
    if len(url) > _MAX_URL or not url.isascii() or not _URL.fullmatch(url) or is_weaker:
        raise table.problem(f"{name} is not a URL that can be used (expected https)")
    return url


def post_form(
    send: Send, provider: Provider, url: str, client: Client, parameters: Mapping[str, str]
) -> Reply:
    """Send a form as ``client``, which is authenticated if it has a secret."""
    headers, form = dict(_FORM), {**parameters, "client_id": client.id}
    if client.secret is not None and provider.takes_secret_in_body:
        form["client_secret"] = client.secret
    elif client.secret is not None:
        pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
        headers["Authorization"] = f"Basic {encode(pair.encode())}"
    subject = f"OIDC provider {provider.issuer}"
    return send("POST", url, subject=subject, headers=headers, body=urlencode(form).encode())


def request_token(
    send: Send, provider: Provider, client: Client, grant: Mapping[str, str]
) -> TokenReply:
    """Request an identity token for a grant.

    Raises:
        LoginError: the response contains neither an identity token nor an error code.
        RegistryError: there is no response.
    """
    issuer = provider.issuer
    subject = f"token of OIDC provider {issuer}"
    reply = post_form(send, provider, provider.token_url, client, grant)
    if reply.status == 200:
        table = parse_reply(reply, issuer, subject)
        try:
            return TokenReply(table.text("id_token"))
        except BundlerError:
            # Some providers send errors with status 200.
            return TokenReply(error=find_error_code(reply) or "without_id_token")
    code = find_error_code(reply)
    if code is None:
        raise LoginError(issuer, f"{subject}: HTTP status {reply.status}")
    return TokenReply(error=code)


def parse_reply(reply: Reply, issuer: str, subject: str) -> Table:
    """Parse a successful response.

    Raises:
        LoginError: the response is not successful, or not a JSON object.
    """
    if reply.status != 200:
        code = find_error_code(reply)
        problem = f"{subject}: HTTP status {reply.status}{f' ({code})' if code else ''}"
        raise LoginError(issuer, problem, code=code)
    try:
        return Table.parse(reply.body, subject, limit=_MAX_RESPONSE)
    except BundlerError as error:
        raise LoginError(issuer, error.message) from None


def find_error_code(reply: Reply) -> str | None:
    """Return the error code in a response; None if there is none.

    The description of the error is not used, because it may repeat parts of the request.
    """
    try:
        code = Table.parse(reply.body, "response", limit=_MAX_RESPONSE).optional_text("error")
    except BundlerError:
        return None
    return code if code and _CODE.fullmatch(code) else None
