"""An engine behind TLS is reached with the files that Docker's own client uses."""

from __future__ import annotations

import ssl
from contextlib import closing

import pytest
import trustme

from bundler import transports
from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings
from bundler.errors import (
    CertificateError,
    CertificateProblem,
    ConfigError,
    NotFoundError,
    RegistryError,
)
from bundler.ports import OpenOptions
from bundler.transports.docker_daemon.transport import DaemonOptions
from tests.fakes.engine import FakeEngine

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """The directory with the files of a client."""
    directory = tmp_path_factory.mktemp("certificates")
    client = AUTHORITY.issue_cert("client@example.com")
    AUTHORITY.cert_pem.write_to_path(str(directory / "ca.pem"))
    client.private_key_pem.write_to_path(str(directory / "key.pem"))
    client.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    return directory


@pytest.fixture
def engine():
    """An engine that requires a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with FakeEngine(tls=context) as running:
        running.context = context
        yield running


def resolve(host, scratch, *, settings=None, **options):
    opening = OpenOptions(
        load_settings=lambda: settings or Settings(),
        transport_options=(DaemonOptions(host, **options),),
        scratch=scratch,
    )
    reference = transports.parse("docker-daemon:app")
    with closing(transports.open_source(reference, opening)) as source:
        return source.resolve()


@pytest.mark.parametrize("scheme", ["tcp", "https"])
def test_both_sides_authenticate_by_certificates(engine, certificates, tmp_path, scheme):
    host = engine.host.replace("tcp", scheme)
    with pytest.raises(NotFoundError):
        resolve(host, tmp_path, cert_dir=certificates)


def test_engine_with_an_unknown_issuer_is_refused(engine, tmp_path):
    with pytest.raises(CertificateError) as raised:
        resolve(engine.host, tmp_path)
    assert raised.value.problem is CertificateProblem.UNKNOWN_ISSUER
    assert "cert-dir" in raised.value.hint
    assert engine.requests == []


def test_client_certificate_is_sent_without_verification(engine, certificates, tmp_path):
    (tmp_path / "pair").mkdir()
    for name in ("cert.pem", "key.pem"):
        (tmp_path / "pair" / name).write_bytes((certificates / name).read_bytes())
    with pytest.raises(NotFoundError):
        resolve(engine.host, tmp_path, cert_dir=tmp_path / "pair", tls_verify=False)


def test_missing_client_certificate_is_reported(engine, tmp_path):
    with pytest.raises(RegistryError):
        resolve(engine.host, tmp_path, tls_verify=False)
    assert engine.requests == []


@pytest.mark.parametrize("broken", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_unusable_certificate_file_is_reported(certificates, tmp_path, broken, content):
    for path in certificates.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / broken).unlink()
    if content:
        (tmp_path / broken).write_bytes(content)
    with pytest.raises(ConfigError):
        resolve("tcp://127.0.0.1:1", tmp_path, cert_dir=tmp_path)


def test_tls_contexts_apply_to_engines(engine, certificates, tmp_path):
    engine.context.maximum_version = ssl.TLSVersion.TLSv1_2
    (tmp_path / "tls.yaml").write_text('minVersion: "1.3"\n')
    settings = Settings.load(
        {}, tmp_path, 1, ConfigPathOverrides(tls_details=tmp_path / "tls.yaml")
    )
    with pytest.raises(NotFoundError):
        resolve(engine.host, tmp_path, cert_dir=certificates)
    with pytest.raises(RegistryError):
        resolve(engine.host, tmp_path, settings=settings, cert_dir=certificates)
