"""Log in with a browser on this machine, to which the provider returns a code.

The browser is redirected to a listener on loopback. If no browser can be opened, the user opens the
URL elsewhere, and types in the code that the provider shows.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1
https://www.rfc-editor.org/rfc/rfc8252
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bundler.errors import LoginError
from bundler.trust.oidc.provider import SCOPE, CodeVerifier, request_token
from bundler.trust.oidc.redirect_listener import RedirectListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.trust.oidc.provider import Client, Provider
    from bundler.trust.web_service import Send

_TYPED_CODE = "urn:ietf:wg:oauth:2.0:oob"  # the redirect URI of a code that the user types in
_TIME_LIMIT = 120.0  # seconds


@dataclass(frozen=True, slots=True)
class Browser:
    """The means to reach the user."""

    open: Callable[[str], bool]
    """Opens a URL in a browser; returns whether there is one."""
    show: Callable[[str], None]
    """Shows lines of text."""
    ask_code: Callable[[], str]
    """Asks for the code that the provider has shown."""
    time_limit: float = _TIME_LIMIT
    """The number of seconds in which the user must log in."""


def request_browser_token(
    send: Send, provider: Provider, client: Client, browser: Browser, cancellation: Cancellation
) -> tuple[str, str]:
    """Let the user log in; return the identity token, unverified, and the nonce in it.

    Raises:
        LoginError: the user or the provider refuses the login.
        RegistryError: there is no response.
        CancelledError: the run is cancelled.
    """
    if provider.authorization_url is None:
        problem = f"OIDC provider {provider.issuer}: no authorization_endpoint"
        raise LoginError(provider.issuer, problem, hint="set oidcMode: deviceGrant")
    verifier = CodeVerifier.create()
    state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    parameters = {
        "response_type": "code",
        "client_id": client.id,
        "scope": SCOPE,
        "state": state,
        "nonce": nonce,
        "access_type": "online",
        **verifier.to_challenge(),
    }
    separator = "&" if "?" in provider.authorization_url else "?"

    def create_url(redirect: str) -> str:
        query = urlencode(sorted({**parameters, "redirect_uri": redirect}.items()))
        return f"{provider.authorization_url}{separator}{query}"

    code = None
    with RedirectListener(state) as listener:
        redirect = listener.url
        if browser.open(create_url(redirect)):
            browser.show(f"Your browser will now be opened to:\n{create_url(redirect)}")
            answer = listener.wait(cancellation, browser.time_limit)
            if answer is not None and answer.code is None:
                raise LoginError.refused(provider.issuer, answer.error)
            code = None if answer is None else answer.code
        else:
            browser.show("error opening browser: none of the known programs can be run")
    if code is None:
        redirect = _TYPED_CODE
        browser.show(f"Go to the following link in a browser:\n\n\t {create_url(redirect)}")
        code = browser.ask_code().strip()
        if not code:
            problem = f"OIDC provider {provider.issuer}: no code was entered"
            raise LoginError(provider.issuer, problem, hint="set oidcMode: deviceGrant")
    grant = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "code_verifier": verifier.secret,
    }
    reply = request_token(send, provider, client, grant)
    if reply.identity_token is None:
        raise LoginError.refused(provider.issuer, reply.error)
    return reply.identity_token, nonce
