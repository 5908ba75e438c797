"""Requests to Fulcio and Rekor: what is sent, and which responses are accepted."""

from __future__ import annotations

import base64
import json

import pytest

from bundler.cancel import Cancellation
from bundler.config.registry_access import RegistryAccess, RegistryLimits
from bundler.errors import ConfigError, LimitError, RefusedRequestError, RegistryError
from bundler.events import discard
from bundler.registry.services.service_client import ServiceClient
from bundler.trust.oidc.identity_token import find_token_subject
from bundler.trust.sigstore import keys
from bundler.trust.sigstore.signing import services
from tests.fakes import sigstore as fake

PAYLOAD = b'{"critical":{}}'


@pytest.fixture
def server():
    with fake.FakeServices() as services_:
        yield services_


@pytest.fixture
def send():
    def find_access(host, scheme):
        return RegistryAccess(host, limits=RegistryLimits(patience=0))

    return ServiceClient(find_access, Cancellation(), discard).send


@pytest.fixture
def key():
    return keys.generate_signing_key()


def record(send, server, key, payload=PAYLOAD, signature=None):
    signature = key.sign(payload) if signature is None else signature
    return services.record_signature(send, server.url, key.public.to_pem(), signature, payload)


def test_certificate_is_for_key_and_user_of_token(server, send, key):
    token = fake.create_token()
    issued = services.request_certificate(send, server.url, token, key)
    assert issued.pem.count(b"BEGIN CERTIFICATE") == 1
    assert issued.chain_pem == server.fulcio.chain_pem
    ((method, path, headers),) = server.requests
    assert (method, path) == ("POST", "/api/v1/signingCert")
    assert headers["Authorization"] == f"Bearer {token}"


def test_refusal_of_certificate_states_reason_and_not_token(server, send, key):
    server.failures.append((400, b'{"code":3,"message":"invalid\\u0000 \\u001b[31mtoken"}'))
    token = fake.create_token()
    with pytest.raises(RefusedRequestError) as caught:
        services.request_certificate(send, server.url, token, key)
    assert "HTTP status 400: invalid   [31mtoken" in caught.value.message
    assert token not in caught.value.message


@pytest.mark.parametrize("body", [b"", b"x", b"-----BEGIN CERTIFICATE-----\n"])
def test_response_without_certificate_is_refused(server, send, key, body):
    server.failures.append((201, body))
    with pytest.raises(RefusedRequestError, match="not a certificate for the key"):
        services.request_certificate(send, server.url, fake.create_token(), key)


def test_certificate_of_other_key_is_refused(server, send, key):
    other = server.fulcio.issue(fake.create_key())
    server.failures.append((201, fake.pem(other)))
    with pytest.raises(RefusedRequestError, match="not a certificate for the key"):
        services.request_certificate(send, server.url, fake.create_token(), key)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "secret",
        "secret.secret.secret",
        "a.b",
        "e30.e30.secret",
        "x" * 70_000,
        fake.create_token(email_verified=False),
        fake.create_token(email=5),
    ],
    ids=range(8),
)
def test_malformed_token_is_refused_without_printing_it(token):
    with pytest.raises(ConfigError) as caught:
        find_token_subject(token)
    assert "secret" not in caught.value.message
    assert not token or token not in caught.value.message


def test_subject_is_used_where_there_is_no_email():
    assert find_token_subject(fake.create_token(email=None)) == "1"


def test_recorded_signature_has_promise_of_log(server, send, key):
    promise = record(send, server, key)
    promise.verify([keys.accept_public_key(server.log.key.public_key(), "log")])


def test_signature_that_was_recorded_before_is_looked_up(server, send, key):
    signature = key.sign(PAYLOAD)
    first = record(send, server, key, signature=signature)
    second = record(send, server, key, signature=signature)
    assert first.entry.body == second.entry.body
    assert [request[0] for request in server.requests] == ["POST", "POST", "GET"]


def test_conflict_without_location_is_refused(server, send, key):
    server.failures.append((409, b"{}"))
    with pytest.raises(RefusedRequestError, match="409"):
        record(send, server, key)


def test_entry_of_other_signature_is_refused(server, send, key):
    record(send, server, key)
    server.alter = lambda entry: entry | {"body": base64.b64encode(server.log.bodies[0]).decode()}
    with pytest.raises(RefusedRequestError, match="not an entry for the signature"):
        record(send, server, key, payload=b"other")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"a":{},"b":{}}', b'{"a":{"body":"x"}}', b'{"a":1}']
)
def test_malformed_response_of_log_is_refused(server, send, key, body):
    server.failures.append((201, body))
    with pytest.raises(RefusedRequestError):
        record(send, server, key)


def test_redirect_is_not_followed(server, send, key):
    """The request may contain a token."""
    server.failures.append((307, b""))
    with pytest.raises(RefusedRequestError, match="307"):
        services.request_certificate(send, server.url, fake.create_token(), key)
    assert len(server.requests) == 1


def test_endless_response_is_refused(server, send, key):
    server.failures.append((201, b" " * 5_000_000))
    with pytest.raises(LimitError):
        record(send, server, key)


def test_unavailable_service_is_a_temporary_failure(server, send, key):
    server.failures.append((503, json.dumps({"message": "later"}).encode()))
    with pytest.raises(RegistryError) as caught:
        record(send, server, key)
    assert caught.value.temporary
