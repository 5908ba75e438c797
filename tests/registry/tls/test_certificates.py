"""Errors for untrusted certificates state the problem and the next step."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bundler.config.registry_access import TlsConfig
from bundler.errors import CertificateError, CertificateProblem, Remedy
from bundler.registry.tls import certificates
from bundler.registry.tls.contexts import create_unverified_context, create_verifying_context
from tests.fakes.proxy import FakeProxy
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA(organization_name="Plant Seven")


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    return write(authority, tmp_path_factory.mktemp("ca") / "ca.pem")


def write(authority: trustme.CA, file: Path) -> Path:
    authority.cert_pem.write_to_path(str(file))
    return file


def serve(certificate: trustme.LeafCert) -> FakeRegistry:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return FakeRegistry(tls=context)


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def serve_self_signed(directory: Path) -> FakeRegistry:
    """Run a registry with a certificate from ``openssl req -x509``."""
    key, certificate = directory / "server.key", directory / "server.crt"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=plant registry"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return FakeRegistry(tls=context)


@pytest.fixture
def tunnel():
    with FakeProxy("me", "pw") as running:
        yield running


@pytest.fixture
def refuse(connect):
    """Return the error for a registry, and check that no request was sent."""

    def run(registry: FakeRegistry, *ca_files: Path, **access: object) -> CertificateError:
        with pytest.raises(CertificateError, match=r": the certificate is not trusted: ") as caught:
            connect(registry, tls=TlsConfig(ca_files=ca_files), **access).ping()
        assert registry.requests == []
        assert not caught.value.temporary
        assert caught.value.exchange is not None
        assert "tls-verify" not in caught.value.hint
        return caught.value

    return run


def test_expired_certificate_is_explained(refuse, authority, ca_file):
    end = (NOW - DAY).replace(microsecond=0)
    leaf = authority.issue_cert("127.0.0.1", not_before=NOW - 9 * DAY, not_after=end)
    with serve(leaf) as registry:
        error = refuse(registry, ca_file)
    assert error.problem is CertificateProblem.EXPIRED
    assert error.verify_code == 10
    assert error.certificate.not_after == end
    assert f"it expired on {end:%Y-%m-%d %H:%M} UTC" in error.message
    assert "clock" in error.hint


def test_certificate_not_yet_valid_is_explained(refuse, authority, ca_file):
    start = (NOW + DAY).replace(microsecond=0)
    leaf = authority.issue_cert("127.0.0.1", not_before=start, not_after=NOW + 9 * DAY)
    with serve(leaf) as registry:
        error = refuse(registry, ca_file)
    assert error.problem is CertificateProblem.NOT_YET_VALID
    assert error.verify_code == 9
    assert error.certificate.not_before == start
    assert f"it is not valid before {start:%Y-%m-%d %H:%M} UTC" in error.message
    assert f"{NOW:%Y-%m-%d}" in error.hint


def test_self_signed_certificate_is_explained(refuse, connect, tmp_path):
    with serve_self_signed(tmp_path) as registry:
        error = refuse(registry)
        assert error.problem is CertificateProblem.SELF_SIGNED
        assert error.verify_code == 18
        assert error.message.endswith("it is self-signed (CN=plant registry)")
        assert f"/etc/containers/certs.d/{registry.host}/ca.crt" in error.hint
        assert "SSL_CERT_FILE" in error.hint
        connect(registry, tls=TlsConfig(ca_files=(tmp_path / "server.crt",))).ping()


@pytest.mark.parametrize("sends_authority", [False, True])
def test_unknown_issuer_is_explained(refuse, authority, tmp_path, sends_authority):
    leaf = authority.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = tmp_path / "chain.pem"
    own = [leaf.private_key_pem, *leaf.cert_chain_pems]
    sent = [*own, authority.cert_pem] if sends_authority else own
    chain.write_bytes(b"".join(pem.bytes() for pem in sent))
    context.load_cert_chain(chain)
    with FakeRegistry(tls=context) as registry:
        error = refuse(registry)
    assert error.problem is CertificateProblem.UNKNOWN_ISSUER
    assert error.verify_code == (19 if sends_authority else 20)
    assert "Plant Seven" in error.certificate.issuer
    assert "its issuer is unknown (" in error.message
    assert error.certificate.issuer in error.message
    assert f"/etc/containers/certs.d/{registry.host}/ca.crt" in error.hint


def test_certificate_of_another_name_is_explained(refuse, authority, ca_file):
    with serve(authority.issue_cert("registry.example", "10.1.2.3")) as registry:
        error = refuse(registry, ca_file)
    assert error.problem is CertificateProblem.NAME_MISMATCH
    assert error.verify_code == 64
    assert error.host == "127.0.0.1"
    assert error.certificate.names == ("registry.example", "10.1.2.3")
    assert "(expected 127.0.0.1, got registry.example, 10.1.2.3)" in error.message
    assert "registries.conf" in error.hint


def test_certificate_of_another_host_name_is_explained(refuse, authority, ca_file):
    with serve(authority.issue_cert("registry.example")) as registry:
        host = registry.host.replace("127.0.0.1", "localhost")
        error = refuse(registry, ca_file, host=host)
    assert error.verify_code == 62
    assert "(expected localhost, got registry.example)" in error.message


def test_certificate_without_names_is_explained(refuse, authority, ca_file):
    with serve(authority.issue_cert(common_name="registry.example")) as registry:
        error = refuse(registry, ca_file)
    assert error.certificate.names == ()
    assert "(expected 127.0.0.1, got no subjectAltName)" in error.message


def test_expired_issuer_is_explained(refuse, tmp_path):
    """The certificate is valid; the certificate of its authority has expired."""
    key, root = tmp_path / "ca.key", tmp_path / "ca.crt"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    expired = expired_authority(key)
    root.write_bytes(expired.public_bytes(serialization.Encoding.PEM))
    authority = trustme.CA.from_pem(root.read_bytes(), key.read_bytes())
    with serve(authority.issue_cert("127.0.0.1")) as registry:
        error = refuse(registry, root)
    assert error.problem is CertificateProblem.EXPIRED
    assert error.certificate.not_after > NOW
    assert error.message.endswith(
        "the certificate of an issuer is not valid: certificate has expired"
    )


def expired_authority(key: Path) -> x509.Certificate:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old authority")])
    return (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - 9 * DAY)
        .not_valid_after(NOW - DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False)
        .sign(private, trustme.hashes.SHA256())
    )


def test_certificate_is_fetched_through_proxy(refuse, authority, ca_file, tunnel):
    with serve(authority.issue_cert("registry.example")) as registry:
        error = refuse(registry, ca_file, proxy=f"http://me:pw@{tunnel.host}")
    assert error.certificate.names == ("registry.example",)
    assert tunnel.authorized == 2
    assert "pw" not in error.message + error.hint


def test_hint_for_object_store_names_directory_of_registry(connect, authority, tmp_path):
    with serve(authority.issue_cert("127.0.0.1")) as storage, FakeRegistry() as registry:
        registry.fail("GET", "/v2/", redirect=f"{storage.url}/v2/")
        with pytest.raises(CertificateError) as caught:
            connect(registry, tls=TlsConfig(plain_http=True)).ping()
    assert storage.host in caught.value.message
    assert f"certs.d/{registry.host}/ca.crt" in caught.value.hint


def test_unfetchable_certificate_is_reported_with_reason_of_openssl(monkeypatch):
    failure = ssl.SSLCertVerificationError(1, "")
    failure.verify_code, failure.verify_message = 10, "certificate has expired"
    error = certificates.create_error(failure, "https://h", "h", None, anchors=[Remedy("ca.crt")])
    assert error.message == "https://h: the certificate is not trusted: certificate has expired"
    assert error.problem is CertificateProblem.EXPIRED


@pytest.mark.parametrize("data", [b"", b"0", b"0" * 5000])
def test_malformed_certificate_has_no_summary(data):
    with pytest.raises(ValueError):
        certificates.summarize(data)


def test_server_without_certificate_has_no_summary():
    with FakeRegistry() as plain:
        host, port = plain.host.split(":")
        assert certificates.fetch_certificate(host, int(port), create_unverified_context) is None


@pytest.mark.parametrize("key_usage", [False, True])
def test_authority_created_by_openssl_is_accepted(connect, tmp_path, key_usage):
    """``openssl req -x509`` adds no key usage, which strict verification requires."""
    ca, ca_key = tmp_path / "ca.crt", tmp_path / "ca.key"
    extra = ("-addext", "keyUsage=critical,keyCertSign") if key_usage else ()
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=plant authority"),
        *extra,
        *("-keyout", ca_key, "-out", ca),
    )
    key, request, leaf = (tmp_path / f"server.{end}" for end in ("key", "csr", "crt"))
    names = tmp_path / "names"
    names.write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server"),
        *("-keyout", key, "-out", request),
    )
    openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial"),
        *("-extfile", names, "-out", leaf),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, key)
    with FakeRegistry(tls=context) as registry:
        connect(registry, tls=TlsConfig(ca_files=(ca,))).ping()


def test_verification_is_equal_in_all_python_versions():
    """Python 3.13 sets additional verification flags by default."""
    context = create_verifying_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


def test_intermediate_authority_alone_is_accepted(connect, tmp_path):
    root = trustme.CA()
    intermediate = root.create_child_ca()
    with serve(intermediate.issue_cert("127.0.0.1")) as registry:
        file = write(intermediate, tmp_path / "intermediate.pem")
        connect(registry, tls=TlsConfig(ca_files=(file,))).ping()
