"""Logins to an OpenID Connect provider, with the terminal and the browser of the user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.cli.output.text import print_note
from bundler.cli.runtime.prompts import prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.trust.sigstore.signing.parameters import LoginParameters
    from bundler.trust.web_service import Send

_BROWSERS = ("xdg-open", "x-www-browser", "www-browser")
"""The programs that open a URL, in the order in which Skopeo tries them."""
_MAX_START = 3  # seconds after which a program that runs is the browser itself


@dataclass(frozen=True, slots=True)
class LoginDialog:
    """Shows text to the user, and asks for the code of a login."""

    show: Callable[[str], None]
    ask_code: Callable[[], str]


def _show(text: str) -> None:
    for line in text.splitlines():
        print_note(line.expandtabs())


DIALOG = LoginDialog(_show, lambda: prompt("Enter verification code"))
"""The dialog on the terminal: text is written to stderr."""


def obtain_token(
    login: LoginParameters, send: Send, cancellation: Cancellation, dialog: LoginDialog
) -> str:
    """Let the user log in; return a verified identity token.

    Raises:
        LoginError: the user or the provider refuses the login, or the token is not valid.
        RegistryError: the provider does not respond.
        CancelledError: the run is cancelled.
    """
    from bundler.trust.oidc import authorization_code, device_grant  # noqa: PLC0415 - only for logins
    from bundler.trust.oidc.identity_token import verify_identity_token  # noqa: PLC0415 - as above
    from bundler.trust.oidc.provider import discover  # noqa: PLC0415 - as above

    provider, client = discover(send, login.issuer), login.client
    nonce = None
    if login.mode == "interactive":
        browser = authorization_code.Browser(_open_browser, dialog.show, dialog.ask_code)
        token, nonce = authorization_code.request_browser_token(
            send, provider, client, browser, cancellation
        )
    else:
        token = device_grant.request_device_token(
            send, provider, client, show=dialog.show, sleep=cancellation.sleep
        )
    verify_identity_token(send, provider, client, token, now=datetime.now(UTC), nonce=nonce)
    return token


def _open_browser(url: str) -> bool:
    """Open ``url`` with the first known program that is installed; return whether it can run."""
    import shutil  # noqa: PLC0415 - imports compression libraries
    import subprocess  # noqa: PLC0415 - only for logins

    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        return False
    try:
        process = subprocess.Popen(
            [program, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        return process.wait(_MAX_START) == 0
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it continues without this process
        return True
