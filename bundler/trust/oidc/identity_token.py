"""Identity tokens: JSON Web Tokens in which a provider states who has logged in.

jwcrypto verifies the signature. Only algorithms with public keys are accepted.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bundler.errors import BundlerError, ConfigError, LoginError
from bundler.oci.json.base64_strict import decode_url
from bundler.oci.json.table import Table
from bundler.trust.oidc.provider import parse_reply

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.trust.oidc.provider import Client, Provider
    from bundler.trust.web_service import Send

_MAX_TOKEN = 64 * 1024
_MAX_KEYS = 64
_LEEWAY = 60  # seconds by which the clocks may differ
_ALGORITHMS = frozenset(
    (
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "EdDSA"),
    )
)
_NAME = "OIDC identity token"


def verify_identity_token(
    send: Send, provider: Provider, client: Client, token: str, *, now: datetime, nonce: str | None
) -> None:
    """Verify that ``provider`` issued the token for ``client``, and for the login with ``nonce``.

    ``nonce`` is None if the login had none. The hash of the access token is not compared, because
    that token is not used.

    Raises:
        LoginError: the token is not valid. The message does not contain it.
        RegistryError: the keys of the provider cannot be read.
    """
    issuer = provider.issuer
    payload = _verify_signature(send, provider, token)
    if payload is None:
        raise LoginError(issuer, f"{_NAME}: no key of the provider verifies the signature")
    try:
        claims = Table.parse(payload, _NAME)
        if claims.text("iss") != issuer:
            raise claims.problem("issued by another provider")
        audience = claims.value.get("aud")
        if client.id not in (audience if isinstance(audience, list) else [audience]):
            raise claims.problem("issued for another client")
        expires = claims.value.get("exp")
        if not isinstance(expires, int | float) or expires + _LEEWAY < now.timestamp():
            raise claims.problem("expired (compare the clock of this machine)")
        if nonce is not None and claims.optional_text("nonce") != nonce:
            raise claims.problem("issued for another login")
    except BundlerError as error:
        raise LoginError(issuer, error.message) from None


def _verify_signature(send: Send, provider: Provider, token: str) -> bytes | None:
    """Return the content of the token; None if no key of the provider verifies it."""
    from jwcrypto.common import JWException  # noqa: PLC0415 - only for logins
    from jwcrypto.jwk import JWK  # noqa: PLC0415 - as above
    from jwcrypto.jws import JWS  # noqa: PLC0415 - as above

    if len(token) > _MAX_TOKEN or token.count(".") != 2:
        return None
    parsed = JWS()
    parsed.allowed_algs = [name for name in provider.algorithms if name in _ALGORITHMS]
    if not parsed.allowed_algs:
        return None
    subject = f"keys of OIDC provider {provider.issuer}"
    reply = send("GET", provider.keys_url, subject=subject)
    table = parse_reply(reply, provider.issuer, subject)
    try:
        keys: list[dict[str, Any]] = [dict(key.value) for key in table.tables("keys", _MAX_KEYS)]
    except BundlerError as error:
        raise LoginError(provider.issuer, error.message) from None
    for members in keys:
        if members.get("kty") in ("RSA", "EC", "OKP") and members.get("use") in (None, "sig"):
            with suppress(JWException, ValueError, TypeError):
                parsed.deserialize(token, JWK(**members))
                content: bytes = parsed.payload
                return content
    return None


def find_token_subject(token: str) -> str:
    """Return the email address, or else the subject, in an identity token, unverified.

    Raises:
        ConfigError: the token is malformed. The message does not contain it.
    """
    parts = token.split(".")
    if len(token) > _MAX_TOKEN or len(parts) != 3:
        raise ConfigError(f"{_NAME}: not a JSON Web Token")
    try:
        claims = Table.parse(decode_url(parts[1], _NAME), _NAME)
        email, subject = claims.optional_text("email"), claims.optional_text("sub")
    except BundlerError:
        raise ConfigError(f"{_NAME}: malformed claims") from None
    if email is not None and claims.value.get("email_verified") not in (True, "true"):
        raise ConfigError(f"{_NAME}: the identity provider has not verified the email address")
    if email is None and subject is None:
        raise ConfigError(f"{_NAME}: contains neither an email address nor a subject")
    return email or subject or ""
