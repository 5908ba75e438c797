from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, strategies as st

from bundler.errors import BundlerError, MalformedError, UnsupportedError
from bundler.trust.ocicrypt import jwe
from tests.strategies import documents

SECRET = b'{"symkey":"AAAA"}'
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP384R1())


def encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def write_packet(protected: bytes, header: object, *, bits=256, digest=hashes.SHA1, **members):
    """A packet for ``RSA``, written without the library that the program uses."""
    key, nonce = os.urandom(bits // 8), os.urandom(12)
    authenticated = encode(protected)
    if "aad" in members:
        authenticated = f"{authenticated}.{members['aad']}"
    sealed = AESGCM(key).encrypt(nonce, SECRET, authenticated.encode())
    oaep = padding.OAEP(padding.MGF1(digest()), digest(), None)
    recipient = {
        "header": header,
        "encrypted_key": encode(RSA.public_key().encrypt(key, oaep)),
    }
    packet = {
        "iv": encode(nonce),
        "ciphertext": encode(sealed[:-16]),
        "tag": encode(sealed[-16:]),
        **members,
    }
    if protected:
        packet["protected"] = authenticated.partition(".")[0]
    if "recipients" in packet:
        packet["recipients"] = [*packet["recipients"], recipient]
    else:
        packet |= recipient
    return json.dumps(packet).encode()


OTHER = {"header": {"alg": "RSA-OAEP"}, "encrypted_key": "AAAA"}


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(write_packet(b'{"enc":"A256GCM"}', {"alg": "RSA-OAEP"}), id="flattened"),
        pytest.param(
            write_packet(b'{"alg":"RSA-OAEP","enc":"A256GCM"}', {}), id="all headers protected"
        ),
        pytest.param(
            write_packet(b'{ "enc" : "\\u0041256GCM" }', {"alg": "RSA-OAEP"}),
            id="protected header that is not compact",
        ),
        pytest.param(
            write_packet(b"", {"alg": "RSA-OAEP"}, unprotected={"enc": "A256GCM"}),
            id="unprotected header",
        ),
        pytest.param(
            write_packet(b'{"enc":"A256GCM"}', {"alg": "RSA-OAEP"}, recipients=[OTHER, OTHER]),
            id="last of three recipients",
        ),
        pytest.param(
            write_packet(b'{"enc":"A256GCM"}', {"alg": "RSA-OAEP"}, aad=encode(b"more")),
            id="additional authenticated data",
        ),
        pytest.param(
            write_packet(b'{"enc":"A128GCM"}', {"alg": "RSA-OAEP"}, bits=128), id="A128GCM"
        ),
        pytest.param(
            write_packet(b'{"enc":"A256GCM"}', {"alg": "RSA-OAEP-256"}, digest=hashes.SHA256),
            id="RSA-OAEP-256",
        ),
    ],
)
def test_unwrap_reads_packets_of_other_writers(packet):
    assert jwe.unwrap(packet, [EC, RSA], "layer") == SECRET


def test_wrap_for_one_key_is_flattened():
    packet = json.loads(jwe.wrap(SECRET, [RSA.public_key()]))
    assert set(packet) == {"protected", "header", "encrypted_key", "iv", "ciphertext", "tag"}
    assert packet["protected"] == encode(b'{"enc":"A256GCM"}')
    assert packet["header"] == {"alg": "RSA-OAEP"}


def test_wrap_for_several_keys_lists_recipients():
    data = jwe.wrap(SECRET, [RSA.public_key(), EC.public_key()])
    packet = json.loads(data)
    assert set(packet) == {"protected", "recipients", "iv", "ciphertext", "tag"}
    assert [one["header"]["alg"] for one in packet["recipients"]] == ["RSA-OAEP", "ECDH-ES+A256KW"]
    assert packet["recipients"][1]["header"]["epk"]["crv"] == "P-384"
    for key in (RSA, EC):
        assert jwe.unwrap(data, [key], "layer") == SECRET


def test_wrap_accepts_small_rsa_keys_as_skopeo_does():
    key = rsa.generate_private_key(65537, 1024)
    assert jwe.unwrap(jwe.wrap(SECRET, [key.public_key()]), [key], "layer") == SECRET


def test_wrap_refuses_other_curves():
    for curve in (ec.SECP224R1(), ec.SECP256K1()):
        with pytest.raises(UnsupportedError):
            jwe.wrap(SECRET, [ec.generate_private_key(curve).public_key()])


def test_unwrap_ignores_keys_on_other_curves():
    other = ec.generate_private_key(ec.SECP256K1())
    packet = jwe.wrap(SECRET, [EC.public_key()])
    assert jwe.unwrap(packet, [other], "layer") is None
    assert jwe.unwrap(packet, [other, EC], "layer") == SECRET


@pytest.mark.parametrize("enc", ["A256CBC-HS512", None, [], 5])
def test_unwrap_refuses_other_ciphers(enc):
    packet = write_packet(json.dumps({"enc": enc}).encode(), {"alg": "RSA-OAEP"})
    with pytest.raises(UnsupportedError):
        jwe.unwrap(packet, [RSA], "layer")


def test_unwrap_never_uses_rsa_with_pkcs1_padding():
    packet = write_packet(b'{"enc":"A256GCM"}', {"alg": "RSA1_5"})
    assert jwe.unwrap(packet, [RSA], "layer") is None


@pytest.mark.parametrize(
    "members",
    [
        {"protected": encode(b"[1]")},
        {"protected": encode(b"{")},
        {"protected": encode(b"[" * 100_000)},
        {"unprotected": [1]},
        {"unprotected": {"enc": "A256GCM"}},
        {"iv": 5},
        {"ciphertext": "é"},
    ],
)
def test_unwrap_refuses_malformed_packets(members):
    packet = json.loads(write_packet(b'{"enc":"A256GCM"}', {"alg": "RSA-OAEP"})) | members
    with pytest.raises(MalformedError):
        jwe.unwrap(json.dumps(packet).encode(), [RSA], "layer")


MEMBERS = ("protected", "unprotected", "recipients", "iv", "ciphertext", "tag", "header", "aad")


@given(st.dictionaries(st.sampled_from(MEMBERS), documents()))
def test_unwrap_of_any_members_ends_with_an_error_or_nothing(members):
    packet = json.loads(write_packet(b'{"enc":"A256GCM"}', {"alg": "RSA-OAEP"})) | members
    with suppress(BundlerError):
        assert jwe.unwrap(json.dumps(packet).encode(), [RSA], "layer") in (None, SECRET)
