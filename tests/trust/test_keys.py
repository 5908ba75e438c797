from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
from typing import TYPE_CHECKING

import nacl.secret
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa

from bundler.errors import (
    ConfigError,
    ConflictError,
    InvalidSignatureError,
    LimitError,
    MediumError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.trust import keys
from tests.fakes.keys import (
    PBE_SHA1_3DES,
    PBES1,
    PBKDF2,
    SCRYPT,
    der,
    pkcs8_with_costs,
    rsa_key,
)

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE = b"correct horse"
KINDS = ("ecdsa-p256", "ed25519")
MESSAGE = b"what is signed"


def clear_pem(key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sealed_as_cosign_documents(
    key, *, label="COSIGN", n=1024, r=8, p=1, kdf="scrypt", passphrase=PASSPHRASE, **replaced
) -> bytes:
    """Create a key in cosign's format without the module under test."""
    der = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    salt, nonce = bytes(range(32)), bytes(range(24))
    secret = hashlib.scrypt(passphrase, salt=salt, n=1024, r=8, p=1, dklen=32)
    sealed = nacl.secret.SecretBox(secret).encrypt(der, nonce).ciphertext
    value = {
        "kdf": {"name": kdf, "params": {"N": n, "r": r, "p": p}, "salt": base64_text(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": base64_text(nonce)},
        "ciphertext": base64_text(sealed),
    } | replaced
    body = base64.encodebytes(json.dumps(value).encode()).decode()
    line = f"ENCRYPTED {label} PRIVATE KEY-----\n"
    return f"-----BEGIN {line}{body}-----END {line}".encode()


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_written_key_pair_signs_and_verifies(tmp_path: Path, kind, passphrase):
    key = keys.generate_key(kind)
    private, public = keys.write_key_pair(tmp_path / "site", key, passphrase)
    signature = keys.parse_private_key(keys.read_key_file(private), passphrase, "key").sign(MESSAGE)
    reader = keys.read_public_key(public)
    reader.verify(signature, MESSAGE)
    assert reader == key.public
    with pytest.raises(InvalidSignatureError) as raised:
        reader.verify(signature, MESSAGE + b".")
    assert raised.value.key_id == key.public.id


def test_private_key_file_is_readable_by_its_owner_only(tmp_path: Path):
    private, public = keys.write_key_pair(tmp_path / "site", keys.generate_key(), None)
    assert private.stat().st_mode & 0o777 == 0o600
    assert public.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("suffix", ["key", "pub"])
def test_existing_key_is_not_overwritten(tmp_path: Path, suffix):
    existing = tmp_path / f"site.{suffix}"
    existing.write_text("precious")
    with pytest.raises(ConflictError) as raised:
        keys.write_key_pair(tmp_path / "site", keys.generate_key(), None)
    assert raised.value.path == str(existing)
    assert [path.name for path in tmp_path.iterdir()] == [existing.name]
    assert existing.read_text() == "precious"


def test_error_reports_missing_directory_of_a_key_pair(tmp_path: Path):
    with pytest.raises(MediumError) as raised:
        keys.write_key_pair(tmp_path / "absent" / "site", keys.generate_key(), None)
    assert raised.value.path == str(tmp_path / "absent" / "site.key")


def test_key_id_is_the_sha256_of_the_key_in_der(tmp_path: Path):
    key = keys.generate_key()
    _, public = keys.write_key_pair(tmp_path / "site", key, None)
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", public, "-outform", "DER"],
        capture_output=True,
        check=True,
    ).stdout
    assert key.public.id == hashlib.sha256(der).hexdigest()
    assert key.public.fingerprint.replace(" ", "") == key.public.id
    assert {len(group) for group in key.public.fingerprint.split()} == {4}


def test_encrypted_key_has_the_format_of_cosign():
    pem = keys.generate_key().to_pem(PASSPHRASE)
    first, *body, last = pem.decode().splitlines()
    assert first == "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"
    assert last == "-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"
    value = json.loads(base64.b64decode("".join(body)))
    assert value["kdf"]["params"] == {"N": 65536, "r": 8, "p": 1}
    secret = hashlib.scrypt(
        PASSPHRASE,
        salt=base64.b64decode(value["kdf"]["salt"]),
        n=65536,
        r=8,
        p=1,
        dklen=32,
        maxmem=2**27,
    )
    der = nacl.secret.SecretBox(secret).decrypt(
        base64.b64decode(value["ciphertext"]), base64.b64decode(value["cipher"]["nonce"])
    )
    assert serialization.load_der_private_key(der, None).curve.name == "secp256r1"


@pytest.mark.parametrize("label", ["COSIGN", "SIGSTORE"])
def test_keys_made_by_cosign_and_skopeo_are_read(label):
    key = ec.generate_private_key(ec.SECP256R1())
    read = keys.parse_private_key(sealed_as_cosign_documents(key, label=label), PASSPHRASE, "k")
    assert read.public.to_pem() == public_pem(key)


def test_empty_passphrase_encrypts_the_key():
    key = ec.generate_private_key(ec.SECP256R1())
    assert keys.parse_private_key(sealed_as_cosign_documents(key, passphrase=b""), b"", "k")


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_pkcs8_and_ec_keys_of_openssl_are_read(passphrase):
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    forms = [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
    for form in forms:
        pem = key.private_bytes(serialization.Encoding.PEM, form, encryption)
        assert keys.needs_passphrase(pem) == (passphrase is not None)
        assert keys.parse_private_key(pem, passphrase, "k").public.to_pem() == public_pem(key)


def test_passphrase_of_an_unencrypted_key_is_ignored():
    pem = keys.generate_key().to_pem(None)
    assert keys.parse_private_key(pem, PASSPHRASE, "k")


@pytest.mark.parametrize(
    "pem",
    [
        sealed_as_cosign_documents(ec.generate_private_key(ec.SECP256R1())),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSPHRASE),
        ),
    ],
    ids=["sealed", "pkcs8"],
)
def test_wrong_passphrase_is_refused_and_not_shown(pem):
    for passphrase in (b"incorrect horse", None):
        with pytest.raises(UsageError) as raised:
            keys.parse_private_key(pem, passphrase, "site.key")
        assert type(raised.value) is UsageError
        assert raised.value.path == "site.key"
        assert "horse" not in str(raised.value)


@pytest.mark.parametrize("hostile", [{"n": 2**21}, {"r": 9}, {"p": 5}, {"n": 2**40}])
def test_expensive_key_derivation_is_refused(hostile):
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(LimitError):
        keys.parse_private_key(sealed_as_cosign_documents(key, **hostile), PASSPHRASE, "k")


@pytest.mark.parametrize(
    ("scheme", "costs"),
    [
        (PBKDF2, (10_000_001,)),
        (PBKDF2, (2**63 - 1,)),
        (PBKDF2, (2**300,)),
        (SCRYPT, (2**21, 8, 1)),
        (SCRYPT, (2**14, 2**20, 1)),
        (SCRYPT, (2**14, 8, 2**20)),
        (PBE_SHA1_3DES, (2**31 - 1,)),
        (PBES1, (2**31 - 1,)),
    ],
)
def test_expensive_key_derivation_of_pkcs8_is_refused_before_it_starts(scheme, costs):
    start = time.monotonic()
    with pytest.raises(LimitError) as raised:
        keys.parse_private_key(pkcs8_with_costs(scheme, *costs), PASSPHRASE, "site.key")
    assert raised.value.path == "site.key"
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("header", [b"X-A: b\n\n", b"-", b"Proc-Type: 4,CLEAR\n\n"])
def test_pem_whose_key_derivation_is_not_visible_is_refused(header):
    """OpenSSL skips headers before the key."""
    label = b"KEY-----\n"
    pem = pkcs8_with_costs(PBKDF2, 2**31 - 1).replace(label, label + header, 1)
    start = time.monotonic()
    with pytest.raises(UsageError):
        keys.parse_private_key(pem, PASSPHRASE, "site.key")
    assert time.monotonic() - start < 5


def test_private_key_that_takes_minutes_to_check_is_refused():
    """OpenSSL tests whether the factors are prime."""
    start = time.monotonic()
    with pytest.raises(UnsupportedError):
        keys.load_private_key(rsa_key(2**9941 - 1, 2**11213 - 1), None, "site.key")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("scheme", "costs"),
    [(PBKDF2, (2048,)), (SCRYPT, (2**14, 8, 1)), (PBE_SHA1_3DES, (2048,))],
)
def test_usual_key_derivation_of_pkcs8_is_computed(scheme, costs):
    with pytest.raises(UsageError, match="wrong passphrase"):
        keys.parse_private_key(pkcs8_with_costs(scheme, *costs), PASSPHRASE, "site.key")


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_ed25519_point_of_small_order_is_refused(point):
    key = der(0x30, der(0x30, der(0x06, b"\x2b\x65\x70")), der(0x03, b"\0", bytes.fromhex(point)))
    body = base64.encodebytes(key).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n".encode()
    with pytest.raises(ConfigError, match="small order"):
        keys.parse_public_key(pem, "site.pub")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kdf": "pbkdf2"}, UnsupportedError),
        ({"cipher": {"name": "aes", "nonce": ""}}, UnsupportedError),
        ({"cipher": {"name": "nacl/secretbox", "nonce": "AAAA"}}, ConfigError),
        ({"ciphertext": "not base64!"}, ConfigError),
        ({"ciphertext": 7}, ConfigError),
    ],
)
def test_encrypted_key_in_another_format_is_refused(change, error):
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(error):
        keys.parse_private_key(sealed_as_cosign_documents(key, **change), PASSPHRASE, "k")


@pytest.mark.parametrize(
    ("key", "named"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "ECDSA secp384r1"),
        (ed448.Ed448PrivateKey.generate(), "Ed448"),
        (dsa.generate_private_key(1024), "DSA"),
        (rsa.generate_private_key(65537, 1024), "RSA key too short"),
    ],
)
def test_unsupported_key_algorithm_is_refused(key, named):
    with pytest.raises(UnsupportedError, match=named):
        keys.parse_public_key(public_pem(key), "site.pub")
    with pytest.raises(UnsupportedError, match=named.split()[0]):
        keys.parse_private_key(clear_pem(key), None, "site.key")


def test_rsa_key_verifies_signature_of_openssl_and_cannot_sign(tmp_path: Path):
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "rsa.key").write_bytes(clear_pem(key))
    (tmp_path / "data").write_bytes(MESSAGE)
    signature = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", tmp_path / "rsa.key", tmp_path / "data"],
        capture_output=True,
        check=True,
    ).stdout
    keys.parse_public_key(public_pem(key), "rsa.pub").verify(signature, MESSAGE)
    with pytest.raises(UnsupportedError):
        keys.parse_private_key(keys.read_key_file(tmp_path / "rsa.key"), None, "key")


def test_public_and_private_keys_are_not_interchangeable():
    key = keys.generate_key()
    with pytest.raises(ConfigError) as raised:
        keys.parse_private_key(key.public.to_pem(), None, "site.pub")
    assert raised.value.path == "site.pub"
    with pytest.raises(ConfigError) as raised:
        keys.parse_public_key(key.to_pem(None), "site.key")
    assert raised.value.path == "site.key"


@pytest.mark.parametrize("data", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_invalid_key_is_refused(data):
    with pytest.raises(ConfigError):
        keys.parse_public_key(data, "site.pub")
    with pytest.raises(ConfigError):
        keys.parse_private_key(data, None, "site.key")


def test_unreadable_and_oversized_key_files_are_refused(tmp_path: Path):
    with pytest.raises(NotFoundError):
        keys.read_public_key(tmp_path / "absent.pub")
    with pytest.raises(ConfigError):
        keys.read_public_key(tmp_path)
    (tmp_path / "large").write_bytes(b"x" * (keys.MAX_KEY_FILE + 1))
    with pytest.raises(ConfigError) as raised:
        keys.read_public_key(tmp_path / "large")
    assert raised.value.path == str(tmp_path / "large")


def test_repr_of_a_key_contains_no_secret():
    key = keys.generate_key()
    assert "object at" not in repr(key)
    assert key.public.id in repr(key)
