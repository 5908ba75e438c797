"""Log in on another device: the user enters a code there, and this program waits for the token.

https://www.rfc-editor.org/rfc/rfc8628
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.errors import BundlerError, LoginError
from bundler.trust.oidc.provider import (
    SCOPE,
    CodeVerifier,
    parse_reply,
    post_form,
    request_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.trust.oidc.provider import Client, Provider
    from bundler.trust.web_service import Send

_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL = 5  # seconds between requests, by default, and added by each ``slow_down``
_MAX_DURATION = 30 * 60  # seconds
_MAX_CODE = 100  # characters
_WEB_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")


def request_device_token(
    send: Send,
    provider: Provider,
    client: Client,
    *,
    show: Callable[[str], None],
    sleep: Callable[[float], None],
) -> str:
    """Show a code and a URL, then wait for the user; return the identity token, unverified.

    Args:
        send: sends the requests.
        provider: the identity provider.
        client: the registration of this program.
        show: shows a line of text to the user.
        sleep: waits for a number of seconds; raises CancelledError if the run is cancelled.

    Raises:
        LoginError: the user or the provider refuses the login, or the code has expired.
        RegistryError: there is no response.
    """
    if provider.device_url is None:
        problem = f"OIDC provider {provider.issuer}: no device_authorization_endpoint"
        raise LoginError(provider.issuer, problem, hint="set oidcMode: interactive")
    verifier = CodeVerifier.create()
    form = {"scope": SCOPE, **verifier.to_challenge()}
    reply = post_form(send, provider, provider.device_url, client, form)
    table = parse_reply(reply, provider.issuer, f"OIDC provider {provider.issuer}")
    try:
        device_code, user_code = table.text("device_code"), table.text("user_code")
        url = table.optional_text("verification_uri_complete") or table.text("verification_uri")
        interval = max(table.integer("interval", 0), 0) or _INTERVAL
        left = min(table.integer("expires_in"), _MAX_DURATION)
        if not _WEB_ADDRESS.fullmatch(url) or not user_code.isprintable():
            raise table.problem("the code or the URL for the user is malformed")
    except BundlerError as error:
        raise LoginError(provider.issuer, error.message) from None
    show(f"Enter the verification code {user_code[:_MAX_CODE]} in your browser at: {url}")
    show(f"Code will be valid for {left} seconds")
    grant = {
        "grant_type": _GRANT_TYPE,
        "device_code": device_code,
        "scope": SCOPE,
        "code_verifier": verifier.secret,
    }
    while True:
        answer = request_token(send, provider, client, grant)
        if answer.identity_token is not None:
            show("Token received!")
            return answer.identity_token
        if answer.error == "slow_down":
            interval += _INTERVAL
        elif answer.error != "authorization_pending":
            raise LoginError.refused(provider.issuer, answer.error)
        left -= interval
        if left < 0:
            raise LoginError.refused(provider.issuer, "expired_token")
        sleep(interval)
