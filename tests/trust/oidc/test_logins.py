"""Logins to an identity provider: which requests are sent, and which responses are accepted."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from bundler.cancel import Cancellation
from bundler.config.registry_access import RegistryAccess, RegistryLimits
from bundler.errors import CancelledError, LimitError, LoginError, RegistryError
from bundler.events import discard
from bundler.registry.services.service_client import ServiceClient
from bundler.trust.oidc.authorization_code import Browser, request_browser_token
from bundler.trust.oidc.device_grant import request_device_token
from bundler.trust.oidc.identity_token import find_token_subject, verify_identity_token
from bundler.trust.oidc.provider import Client, discover
from tests.fakes import oidc as fake


@pytest.fixture
def provider():
    with fake.FakeProvider() as running:
        yield running


@pytest.fixture
def send():
    def find_access(host, scheme):
        return RegistryAccess(host, limits=RegistryLimits(patience=0))

    client = ServiceClient(find_access, Cancellation(), discard)
    yield client.send
    client.close()


class User:
    """A user with a browser that follows redirects, and the text that was shown."""

    def __init__(self, provider=None, *, opens=True):
        self.provider = provider
        self.opens = opens
        self.shown: list[str] = []

    def open(self, url):
        if self.opens:
            threading.Thread(target=self.visit, args=(url,), daemon=True).start()
        return self.opens

    def visit(self, url):
        with urllib.request.urlopen(url, timeout=10) as response:
            response.read()

    def type_code(self):
        _, _, query = self.shown[-1].partition("\t ")[2].partition("?")
        target = self.provider.authorize(query)
        return target.partition("code=")[2].partition("&")[0]

    def browser(self, time_limit=10.0):
        return Browser(self.open, self.shown.append, self.type_code, time_limit)


CLIENT = Client(fake.CLIENT_ID)


def log_in(send, provider, user, client=CLIENT, cancellation=None, time_limit=10.0):
    """Log in with a browser; return the verified token."""
    found = discover(send, provider.url)
    token, nonce = request_browser_token(
        send, found, client, user.browser(time_limit), cancellation or Cancellation()
    )
    verify_identity_token(send, found, client, token, now=datetime.now(UTC), nonce=nonce)
    return token


def log_in_elsewhere(send, provider, client=CLIENT):
    """Log in on another device; return the verified token, the shown text and the waiting times."""
    found = discover(send, provider.url)
    shown: list[str] = []
    waits: list[float] = []
    token = request_device_token(send, found, client, show=shown.append, sleep=waits.append)
    verify_identity_token(send, found, client, token, now=datetime.now(UTC), nonce=None)
    return token, shown, waits


# In a browser


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_browser_is_redirected_with_code(send, provider, algorithm):
    provider.algorithm = algorithm
    user = User()
    token = log_in(send, provider, user)
    assert find_token_subject(token) == fake.EMAIL
    assert provider.tokens == [token]
    assert not provider.grants
    assert "redirect_uri=http%3A%2F%2Flocalhost%3A" in user.shown[0]


@pytest.mark.parametrize("methods", [None, ["client_secret_basic"], ["client_secret_post"]])
def test_client_is_authenticated_as_provider_supports_it(send, provider, methods):
    provider.secret = fake.SECRET
    provider.metadata["token_endpoint_auth_methods_supported"] = methods
    log_in(send, provider, User(), Client(fake.CLIENT_ID, fake.SECRET))


def test_wrong_secret_is_refused_without_printing_it(send, provider):
    provider.secret = "another"
    with pytest.raises(LoginError) as caught:
        log_in(send, provider, User(), Client(fake.CLIENT_ID, fake.SECRET))
    assert caught.value.code == "invalid_client"
    assert "marked" not in f"{caught.value} {caught.value!r}"


def test_code_is_typed_in_without_browser(send, provider):
    user = User(provider, opens=False)
    assert log_in(send, provider, user) == provider.tokens[0]


def test_login_ends_if_no_code_is_typed_in(send, provider):
    user = User(provider, opens=False)
    user.type_code = lambda: " "
    with pytest.raises(LoginError):
        log_in(send, provider, user)
    assert ("POST", "/token") not in provider.requests


def test_code_is_typed_in_if_browser_does_not_answer(send, provider):
    user = User(provider)
    user.visit = lambda url: None
    assert log_in(send, provider, user, time_limit=0.2) == provider.tokens[0]


def test_denial_by_user_is_reported(send, provider):
    provider.denied = True
    with pytest.raises(LoginError) as caught:
        log_in(send, provider, User())
    assert caught.value.code == "access_denied"
    assert caught.value.exit_status == 7


def test_requests_without_state_are_refused_and_login_continues(send, provider):
    statuses = []

    class Victim(User):
        def visit(self, url):
            query = urllib.parse.parse_qs(url.partition("?")[2])
            target = query["redirect_uri"][0]
            for attack in ("", "?code=other", "?code=other&state=x", "?error=access_denied&state="):
                with pytest.raises(urllib.error.HTTPError) as caught:
                    super().visit(f"{target}{attack}")
                statuses.append(caught.value.code)
                caught.value.close()
            super().visit(url)

    log_in(send, provider, Victim())
    assert statuses == [400] * 4


def test_cancellation_ends_waiting(send, provider):
    cancellation, user = Cancellation(), User()
    user.visit = lambda url: cancellation.request()
    with pytest.raises(CancelledError):
        log_in(send, provider, user, cancellation=cancellation)


# On another device


def test_token_is_polled_at_interval(send, provider):
    provider.token_errors = ["authorization_pending", "slow_down", "authorization_pending"]
    provider.device["interval"] = 2
    token, shown, waits = log_in_elsewhere(send, provider)
    assert waits == [2, 7, 7]
    assert "WDJB-MJHT" in shown[0]
    assert f"{provider.url}/activate" in shown[0]
    assert token not in "".join(shown)


def test_default_interval_is_five_seconds(send, provider):
    provider.token_errors = ["authorization_pending"]
    provider.device |= {"interval": 0, "verification_uri_complete": "https://idp.example.org/?c=1"}
    _, shown, waits = log_in_elsewhere(send, provider)
    assert waits == [5]
    assert shown[0].endswith("https://idp.example.org/?c=1")


@pytest.mark.parametrize("code", ["access_denied", "expired_token", "invalid_scope"])
def test_refusal_ends_polling(send, provider, code):
    provider.token_errors = ["authorization_pending", code]
    with pytest.raises(LoginError) as caught:
        log_in_elsewhere(send, provider)
    assert caught.value.code == code


def test_polling_ends_when_code_expires(send, provider):
    provider.token_errors = ["authorization_pending"] * 1000
    provider.device |= {"expires_in": 10**9}
    with pytest.raises(LoginError) as caught:
        log_in_elsewhere(send, provider)
    assert caught.value.code == "expired_token"
    assert len(provider.requests) < 400


@pytest.mark.parametrize(
    "members",
    [
        {"device_code": None},
        {"user_code": "\x1b[2J"},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://x/\x1b[2J"},
        {"expires_in": "soon"},
        {"interval": -1},
    ],
    ids=range(6),
)
def test_malformed_response_of_device_endpoint_is_refused(send, provider, members):
    provider.device |= members
    with pytest.raises(LoginError):
        log_in_elsewhere(send, provider)


def test_device_endpoint_is_required(send, provider):
    provider.metadata["device_authorization_endpoint"] = None
    with pytest.raises(LoginError, match="device_authorization_endpoint"):
        log_in_elsewhere(send, provider)


# The configuration of the provider


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "https://other.example.org"},
        {"issuer": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"code_challenge_methods_supported": None},
        {"token_endpoint": None},
        {"token_endpoint": "ftp://x/"},
        {"token_endpoint": "http://user:secret@x/"},
        {"jwks_uri": 5},
        {"authorization_endpoint": "http://x/\n"},
    ],
    ids=range(9),
)
def test_unusable_configuration_is_refused(send, provider, members):
    provider.metadata |= members
    with pytest.raises(LoginError):
        discover(send, provider.url)


@pytest.mark.parametrize("answer", [(404, b""), (200, b"[]"), (200, b"{" * 70), (200, b"")])
def test_response_that_is_no_configuration_is_refused(send, provider, answer):
    provider.answers["/.well-known/openid-configuration"] = answer
    with pytest.raises(LoginError):
        discover(send, provider.url)


def test_size_of_configuration_is_limited(send, provider):
    document = json.dumps(provider.describe() | {"x": "x" * 5_000_000}).encode()
    provider.answers["/.well-known/openid-configuration"] = (200, document)
    with pytest.raises(LimitError):
        discover(send, provider.url)


def test_redirects_are_not_followed(send, provider):
    provider.answers["/.well-known/openid-configuration"] = (307, b"")
    with pytest.raises(LoginError):
        discover(send, provider.url)


def test_provider_with_tls_cannot_name_endpoint_without_tls():
    class Reply:
        status, location = 200, ""
        body = json.dumps(fake.FakeProvider.describe(FAKE_WITH_TLS)).encode()

    with pytest.raises(LoginError):
        discover(lambda *_, **__: Reply(), FAKE_WITH_TLS.url)


class FAKE_WITH_TLS:  # noqa: N801 - a value
    """The part of a fake provider from which its configuration is created."""

    url = "https://idp.example.org"
    metadata = {"token_endpoint": "http://idp.example.org/token"}  # noqa: RUF012 - as above


def test_unreachable_provider_is_reported(send, provider):
    url = provider.url
    provider.shutdown()
    provider.server_close()
    with pytest.raises(RegistryError):
        discover(send, url)


# Identity tokens


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example.org"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"exp": "9999999999"},
        {"nonce": "other"},
        {"nonce": None},
    ],
    ids=range(10),
)
def test_token_for_other_login_is_refused(send, provider, claims):
    provider.claims = claims
    with pytest.raises(LoginError) as caught:
        log_in(send, provider, User())
    assert provider.tokens[0] not in str(caught.value)


def test_token_for_several_clients_is_accepted(send, provider):
    provider.claims = {"aud": ["other", fake.CLIENT_ID]}
    log_in(send, provider, User())


def strip_signature(token):
    return token.rpartition(".")[0] + "."


def change_claims(token):
    header, claims, signature = token.split(".")
    return f"{header}.{claims[:-2]}.{signature}"


@pytest.mark.parametrize("alter", [strip_signature, change_claims, lambda token: "x.y.z" * 9999])
def test_token_without_valid_signature_is_refused(send, provider, alter):
    provider.alter_token = alter
    with pytest.raises(LoginError):
        log_in(send, provider, User())


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_token_without_signature_by_public_key_is_refused(send, provider, algorithm):
    provider.algorithm = algorithm
    provider.metadata["id_token_signing_alg_values_supported"] = [algorithm, "RS256"]
    with pytest.raises(LoginError):
        log_in(send, provider, User())


@pytest.mark.parametrize("keys", [b'{"keys":[]}', b'{"keys":[{"kty":"RSA","n":"!"}]}', b"[]"])
def test_unusable_keys_verify_nothing(send, provider, keys):
    provider.answers["/keys"] = (200, keys)
    with pytest.raises(LoginError):
        log_in(send, provider, User())


def test_keys_of_unknown_kinds_are_left_out(send, provider):
    provider.other_keys = [
        {"kty": "future"},
        {"kty": "EC", "crv": "x"},
        {"kty": "RSA", "use": "enc"},
    ]
    log_in(send, provider, User())


def test_expiry_has_small_tolerance(send, provider):
    provider.claims = {"exp": int((datetime.now(UTC) - timedelta(seconds=20)).timestamp())}
    log_in(send, provider, User())
