"""Remedies for TLS connections that fail: only those that can help with this server."""

from __future__ import annotations

import ssl
from contextlib import closing

import pytest
import trustme

from bundler.cancel import Cancellation
from bundler.config.registry_access import RegistryAccess, TlsConfig, TlsDetails
from bundler.errors import CertificateError, RegistryError
from bundler.events import discard
from bundler.registry.services.lookaside_client import LookasideClient
from bundler.registry.services.service_client import ServiceClient
from bundler.registry.tls import handshake_errors
from bundler.silence import Silence
from tests.fakes.registry import FakeRegistry

PLAIN = TlsConfig(plain_http=True)
AUTHORITY = trustme.CA()
CLIENT_CERTIFICATE = {
    "verify_mode": ssl.CERT_REQUIRED,
    "maximum_version": ssl.TLSVersion.TLSv1_2,  # refused within the handshake
}


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return path


def serve(**settings):
    """Run a registry with a certificate of ``AUTHORITY``; ``settings`` are those of its context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return FakeRegistry(tls=context)


def list_options(error):
    """Return the options that the remedies of ``error`` name."""
    assert error.remedies
    return {remedy.option for remedy in error.remedies} - {None}


def ping(session):
    with pytest.raises(RegistryError) as raised:
        session.ping()
    assert not raised.value.temporary
    return raised.value


def send(url):
    """Send a request to a service; return its error."""
    access = RegistryAccess(url.partition("://")[2])
    with (
        closing(ServiceClient(lambda *_: access, Cancellation(), discard)) as client,
        pytest.raises(RegistryError) as raised,
    ):
        client.send("GET", f"{url}/api", subject="log")
    return raised.value


def test_registry_without_tls_can_be_used_without_verification(connect, registry):
    assert list_options(ping(connect(registry, tls=TlsConfig()))) == {"tls-verify"}


@pytest.mark.parametrize("as_token_service", [True, False])
def test_verification_does_not_matter_for_another_server_without_tls(connect, as_token_service):
    """Its URL, which the registry states, begins with ``https://``."""
    with FakeRegistry() as other:
        url = f"https://{other.host}/x"
        with FakeRegistry(auth="bearer" if as_token_service else None, realm=url) as registry:
            if not as_token_service:
                registry.fail("GET", redirect=url)
            assert list_options(ping(connect(registry, tls=PLAIN))) == set()


def test_service_and_lookaside_server_without_tls_need_another_url(registry):
    url = f"https://{registry.host}"
    assert list_options(send(url)) == set()
    access = RegistryAccess("registry.example")
    with (
        closing(LookasideClient(access, Cancellation(), discard)) as client,
        pytest.raises(RegistryError) as raised,
    ):
        client.fetch(f"{url}/signature-1", 100, Silence())
    assert list_options(raised.value) == set()


def test_unknown_issuer_of_a_service_is_added_to_the_system():
    """The files of certs.d and the options for registries do not apply to services."""
    with serve() as service:
        error = send(service.url)
    assert isinstance(error, CertificateError)
    assert [remedy.text for remedy in error.remedies] == ["the file in SSL_CERT_FILE"]


def test_missing_client_certificate_is_specified_for_the_registry(connect, ca_file):
    with serve(**CLIENT_CERTIFICATE) as registry:
        error = ping(connect(registry, tls=TlsConfig(ca_files=(ca_file,))))
    assert list_options(error) == {"cert-dir"}


def test_client_certificate_is_not_suggested_for_another_server(connect, ca_file):
    """It would not be sent."""
    with serve(**CLIENT_CERTIFICATE) as storage, FakeRegistry() as registry:
        registry.fail("GET", redirect=f"{storage.url}/x")
        error = ping(connect(registry, tls=TlsConfig(plain_http=True, ca_files=(ca_file,))))
    assert list_options(error) == set()


def test_client_certificate_is_not_suggested_if_no_version_is_shared(connect, ca_file):
    details = TlsDetails(min_version="1.3")
    with serve(maximum_version=ssl.TLSVersion.TLSv1_2) as registry:
        error = ping(connect(registry, tls=TlsConfig(ca_files=(ca_file,), details=details)))
    assert list_options(error) == set()


@pytest.mark.parametrize("role", ["registry", "named", "lookaside", "service"])
@pytest.mark.parametrize("reason", ["WRONG_VERSION_NUMBER", "SSLV3_ALERT_HANDSHAKE_FAILURE", "X"])
def test_every_failure_has_a_remedy(role, reason):
    failure = ssl.SSLError(1, "")
    failure.reason = reason
    assert handshake_errors.create_error(failure, "https://h", role).hint
