"""TLS contexts apply restrictions, and refuse unsupported ones."""

from __future__ import annotations

import os
import platform
import ssl
import time
from functools import cache
from typing import TYPE_CHECKING

import pytest
import trustme

from bundler.config.registry_access import TlsConfig, TlsDetails
from bundler.errors import ConfigError
from bundler.registry.tls.contexts import create_registry_context, restrict
from tests.fakes.keys import PBKDF2, pkcs8_with_costs

if TYPE_CHECKING:
    from pathlib import Path

RSA = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
ECDSA = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
MODERN = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def negotiate(details: TlsDetails, server: ssl.SSLContext | None = None) -> tuple[str, str]:
    """Return the negotiated version and cipher."""
    client = ssl.create_default_context()
    authority().configure_trust(client)
    restrict(client, details)
    if server is None:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost").configure_cert(server)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    version, cipher = ours.version(), ours.cipher()
    assert version is not None
    assert cipher is not None
    return version, cipher[0]


def old_server() -> ssl.SSLContext:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    return server


def test_default_details_restrict_nothing() -> None:
    assert negotiate(TlsDetails())[0] == "TLSv1.3"
    assert negotiate(TlsDetails(), old_server())[0] == "TLSv1.2"


def test_older_server_is_refused() -> None:
    assert negotiate(TlsDetails(min_version="1.2"), old_server())[0] == "TLSv1.2"
    with pytest.raises(ssl.SSLError):
        negotiate(TlsDetails(min_version="1.3"), old_server())


@pytest.mark.parametrize(
    ("name", "cipher"),
    [
        (ECDSA, "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256"),
    ],
)
def test_only_specified_cipher_is_used(name: str, cipher: str) -> None:
    assert negotiate(TlsDetails(cipher_suites=(name,))) == ("TLSv1.2", cipher)


def test_server_without_specified_cipher_is_refused() -> None:
    with pytest.raises(ssl.SSLError):  # its certificate has no RSA key
        negotiate(TlsDetails(cipher_suites=(RSA,)))


def test_partial_list_of_tls_1_3_ciphers_is_refused() -> None:
    assert negotiate(TlsDetails(cipher_suites=MODERN))[0] == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        negotiate(TlsDetails(cipher_suites=MODERN), old_server())
    assert negotiate(TlsDetails(cipher_suites=(*MODERN, ECDSA)), old_server())[0] == "TLSv1.2"
    with pytest.raises(ConfigError) as raised:
        negotiate(TlsDetails(cipher_suites=MODERN[:1]))
    assert raised.value.hint is not None


def server_of(curve: str) -> ssl.SSLContext:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ecdh_curve(curve)
    return server


def python_restricts_to(curve: str) -> bool:
    """Return whether this ssl module supports the group; that of Debian 12 supports only some."""
    try:
        server_of(curve)
    except ssl.SSLError:
        return False
    return True


def test_only_specified_group_is_used() -> None:
    server = server_of("secp384r1")
    assert negotiate(TlsDetails(named_groups=("secp384r1",)), server)[0] == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        negotiate(TlsDetails(named_groups=("secp521r1",)), server)


@pytest.mark.parametrize("group", ["X25519", "X448"])
def test_montgomery_group_is_used_or_refused(group: str) -> None:
    details = TlsDetails("f", named_groups=(group.lower(),))
    if python_restricts_to(group):
        assert negotiate(details, server_of(group))[0] == "TLSv1.3"
        with pytest.raises(ssl.SSLError):
            negotiate(details, server_of("secp384r1"))
    else:
        message = r"^f: namedGroups: Python .* does not support '"
        with pytest.raises(ConfigError, match=message) as caught:
            negotiate(details)
        assert platform.python_version() in caught.value.message
        assert group.lower() in caught.value.message
        assert caught.value.hint is not None
        assert "secp256r1" in caught.value.hint


@pytest.mark.parametrize(
    ("details", "problem"),
    [
        (TlsDetails("f", cipher_suites=()), "no usable cipher suite"),
        (TlsDetails("f", "1.3", cipher_suites=(RSA,)), "no usable cipher suite"),
        (TlsDetails("f", cipher_suites=("NULL",)), "unknown cipher suite"),
        (TlsDetails("f", cipher_suites=("ALL:eNULL",)), "unknown cipher suite"),
        (TlsDetails("f", named_groups=("secp256r1", "x25519")), "2 groups"),
        (TlsDetails("f", named_groups=()), "0 groups"),
        (TlsDetails("f", named_groups=("no-such-group",)), "does not support 'no-such-group'"),
    ],
)
def test_unsupported_tls_restrictions_are_refused(details: TlsDetails, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"^f: .*{problem}"):
        negotiate(details)


def test_encrypted_client_key_is_refused_without_decrypting_it(tmp_path: Path) -> None:
    """The file demands a key derivation that takes an hour."""
    certificate, key = tmp_path / "me.cert", tmp_path / "me.key"
    authority().issue_cert("me").cert_chain_pems[0].write_to_path(str(certificate))
    key.write_bytes(pkcs8_with_costs(PBKDF2, 2**31 - 1))
    tls = TlsConfig(verify=False, client_certificate=certificate, client_key=key)
    begun = time.monotonic()
    with pytest.raises(ConfigError):
        create_registry_context(tls)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("large", ["me.cert", "me.key", "ca.crt"])
def test_certificate_file_that_is_too_large_is_not_read(tmp_path: Path, large: str) -> None:
    """OpenSSL would read a sparse file of a terabyte to its end."""
    for name in ("me.cert", "me.key", "ca.crt"):
        authority().issue_cert("me").cert_chain_pems[0].write_to_path(str(tmp_path / name))
    os.truncate(tmp_path / large, 1 << 40)
    tls = TlsConfig(
        ca_files=(tmp_path / "ca.crt",),
        client_certificate=tmp_path / "me.cert",
        client_key=tmp_path / "me.key",
    )
    with pytest.raises(ConfigError) as raised:
        create_registry_context(tls)
    assert raised.value.path == str(tmp_path / large)
