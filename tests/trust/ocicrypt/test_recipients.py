"""Only the recipients of an encrypted layer can decrypt it."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from bundler.cancel import Cancellation
from bundler.errors import (
    BundlerError,
    CancelledError,
    ConfigError,
    IntegrityError,
    LimitError,
    MalformedError,
    NoDecryptionKeyError,
    UnsupportedError,
    UsageError,
)
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.trust.ocicrypt import recipients as ocicrypt
from bundler.trust.ocicrypt.cipher_stream import PUBLIC_OPTIONS
from bundler.trust.ocicrypt.pgp import SecretKey, unwrap

DATA = os.urandom(2_500_000)
JWE, PKCS7, PGP = (ocicrypt.KEYS + name for name in ("jwe", "pkcs7", "pgp"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Key files: NAME.key and NAME.pub, and for RSA keys a certificate, NAME.crt."""
    home = tmp_path_factory.mktemp("keys")
    write(home, "rsa", rsa.generate_private_key(65537, 2048))
    write(home, "other", rsa.generate_private_key(65537, 2048))
    write(home, "ec", ec.generate_private_key(ec.SECP256R1()))
    write(home, "ec521", ec.generate_private_key(ec.SECP521R1()))
    write(home, "ed", ed25519.Ed25519PrivateKey.generate())
    write(home, "locked", rsa.generate_private_key(65537, 2048), b"secret")
    return home


def write(home, name, key, password=None):
    cipher = serialization.NoEncryption()
    if password:
        cipher = serialization.BestAvailableEncryption(password)
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    pkcs8 = serialization.PrivateFormat.PKCS8
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    (home / f"{name}.key").write_bytes(key.private_bytes(pem, pkcs8, cipher))
    (home / f"{name}.pub").write_bytes(key.public_key().public_bytes(pem, info))
    (home / f"{name}.pub.der").write_bytes(key.public_key().public_bytes(der, info))
    if isinstance(key, rsa.RSAPrivateKey):
        (home / f"{name}.crt").write_bytes(certificate(key).public_bytes(pem))


def certificate(key, public=None):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reader")])
    public = public or key.public_key()
    return (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=9))
        .sign(key, hashes.SHA256())
    )


def layer(data=b"", annotations=None):
    return Descriptor(
        "application/octet-stream", Digest.of(data), len(data), annotations=annotations or {}
    )


def seal(*recipients, data=DATA, configuration=None):
    stream = ocicrypt.create_encryptor(recipients, configuration)(io.BytesIO(data), layer(data))
    sealed = stream.read()
    stream.close()
    return sealed, stream.annotations()


def unseal(sealed, annotations, *keys, configuration=None):
    opening = ocicrypt.create_decryptor([str(key) for key in keys], configuration)
    return opening(io.BytesIO(sealed), layer(sealed, annotations)).read()


@pytest.mark.parametrize(
    ("bits", "exponent"),
    [(32_768, 3), (8_192, 2**4096 + 1), (512, 3)],
    ids=["modulus", "exponent", "short"],
)
@pytest.mark.parametrize("form", ["jwe", "pkcs7"])
def test_rsa_key_that_cannot_encrypt_is_refused(tmp_path, form, bits, exponent):
    pem, info = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    key = rsa.RSAPublicNumbers(exponent, 2**bits - 1).public_key()
    if form == "jwe":
        raw = key.public_bytes(pem, info)
    else:
        raw = certificate(ec.generate_private_key(ec.SECP256R1()), key).public_bytes(pem)
    (tmp_path / "key").write_bytes(raw)
    with pytest.raises(UnsupportedError) as raised:
        seal(f"{form}:{tmp_path}/key")
    assert raised.value.path == f"{tmp_path}/key"


@pytest.mark.parametrize("data", [b"", b"x", DATA])
@pytest.mark.parametrize(
    ("recipient", "key"),
    [
        ("jwe:{}/rsa.pub", "rsa.key"),
        ("jwe:{}/rsa.pub.der", "rsa.key"),
        ("jwe:{}/ec.pub", "ec.key"),
        ("jwe:{}/ec521.pub", "ec521.key"),
        ("jwe:{}/locked.pub", "locked.key:secret"),
        ("jwe:{}/locked.pub", "locked.key:pass=secret"),
        ("pkcs7:{}/rsa.crt", "rsa.key"),
    ],
)
def test_recipient_decrypts_the_layer(keys, recipient, key, data):
    sealed, annotations = seal(recipient.format(keys), data=data)
    assert len(sealed) == len(data)
    assert sealed != data or len(data) < 16
    assert unseal(sealed, annotations, f"{keys}/{key}") == data


def test_each_of_several_recipients_decrypts_the_layer(keys):
    recipients = [f"jwe:{keys}/rsa.pub", f"jwe:{keys}/ec.pub", f"pkcs7:{keys}/other.crt"]
    sealed, annotations = seal(*recipients)
    assert set(annotations) == {JWE, PKCS7, PUBLIC_OPTIONS}
    for name in ("rsa", "ec", "other"):
        assert unseal(sealed, annotations, keys / f"{name}.key") == DATA


def test_password_is_read_from_a_file_or_a_descriptor(keys, tmp_path):
    sealed, annotations = seal(f"jwe:{keys}/locked.pub")
    (tmp_path / "password").write_bytes(b"secret")
    locked = keys / "locked.key"
    assert unseal(sealed, annotations, f"{locked}:file={tmp_path}/password") == DATA
    with (tmp_path / "password").open("rb") as file:
        assert unseal(sealed, annotations, f"{locked}:fd={file.fileno()}") == DATA


def test_layer_is_not_decrypted_without_the_key_of_a_recipient(keys):
    sealed, annotations = seal(f"jwe:{keys}/rsa.pub", f"pkcs7:{keys}/rsa.crt")
    for others in ([], ["other.key"], ["ec.key", "other.key"], ["rsa.crt"]):
        with pytest.raises(NoDecryptionKeyError) as raised:
            unseal(sealed, annotations, *(keys / name for name in others))
        assert raised.value.protocols == ("jwe", "pkcs7")
        assert "--decryption-key" in raised.value.hint


@pytest.mark.parametrize("place", [0, 1_500_000, len(DATA) - 1])
def test_layer_with_a_changed_bit_is_refused(keys, place):
    sealed, annotations = seal(f"jwe:{keys}/rsa.pub")
    changed = bytearray(sealed)
    changed[place] ^= 1
    with pytest.raises(IntegrityError):
        unseal(bytes(changed), annotations, keys / "rsa.key")


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, len(DATA) - 1])
def test_truncated_layer_is_refused(keys, size):
    sealed, annotations = seal(f"jwe:{keys}/rsa.pub")
    with pytest.raises(IntegrityError):
        unseal(sealed[:size], annotations, keys / "rsa.key")


def test_last_part_is_returned_only_after_the_hmac_is_verified(keys):
    sealed, annotations = seal(f"jwe:{keys}/rsa.pub")
    opening = ocicrypt.create_decryptor([f"{keys}/rsa.key"])
    stream = opening(io.BytesIO(sealed + b"more"), layer(sealed, annotations))
    given: list[int] = []
    with pytest.raises(IntegrityError):
        given.extend(map(len, iter(lambda: stream.read(1000), b"")))
    assert 0 < sum(given) <= len(DATA) // (1024 * 1024) * 1024 * 1024


def damaged(annotations, name, change):
    value = json.loads(b64decode(annotations[name]))
    change(value)
    return {**annotations, name: b64encode(json.dumps(value).encode()).decode()}


NONE = b64encode(b"{}").decode()
DAMAGE = {
    "cipher": (PUBLIC_OPTIONS, lambda value: value.update(cipher="ROT13"), UnsupportedError),
    "no hmac": (PUBLIC_OPTIONS, lambda value: value.pop("hmac"), MalformedError),
    "empty hmac": (PUBLIC_OPTIONS, lambda value: value.update(hmac=""), MalformedError),
    "options": (PUBLIC_OPTIONS, lambda value: value.update(cipheroptions=[1]), MalformedError),
    "no iv": (JWE, lambda value: value.pop("iv"), MalformedError),
    "tag": (JWE, lambda value: value.update(tag="!"), BundlerError),
    "iv": (JWE, lambda value: value.update(iv="AAAA"), UsageError),
    "ciphertext": (JWE, lambda value: value.update(ciphertext="AAAA"), UsageError),
    "key": (JWE, lambda value: value.update(encrypted_key="AAAA"), UsageError),
    "no algorithm": (JWE, lambda value: value.update(protected=NONE), UnsupportedError),
    "recipients": (JWE, lambda value: value.update(recipients=[{}] * 65), LimitError),
}


@pytest.mark.parametrize(("name", "change", "error"), list(DAMAGE.values()), ids=list(DAMAGE))
def test_damaged_annotations_are_refused_without_showing_a_secret(keys, name, change, error):
    sealed, annotations = seal(f"jwe:{keys}/rsa.pub", data=b"layer")
    with pytest.raises(error):
        unseal(sealed, damaged(annotations, name, change), keys / "rsa.key")


def test_missing_and_malformed_annotations_are_refused(keys):
    sealed, annotations = seal(f"jwe:{keys}/rsa.pub", data=b"layer")
    with pytest.raises(MalformedError):
        unseal(sealed, {JWE: annotations[JWE]}, keys / "rsa.key")
    with pytest.raises(NoDecryptionKeyError) as raised:
        unseal(sealed, {PUBLIC_OPTIONS: annotations[PUBLIC_OPTIONS]}, keys / "rsa.key")
    assert raised.value.protocols == ()
    with pytest.raises(MalformedError):
        unseal(sealed, annotations | {JWE: "%"}, keys / "rsa.key")
    for name in (JWE, PUBLIC_OPTIONS):
        with pytest.raises(MalformedError):
            unseal(sealed, annotations | {name: "é"}, keys / "rsa.key")


def test_point_that_is_not_on_the_curve_is_refused(keys):
    sealed, annotations = seal(f"jwe:{keys}/ec.pub", data=b"layer")
    moved = damaged(annotations, JWE, lambda value: value["header"]["epk"].update(x="AQ"))
    with pytest.raises(UsageError):
        unseal(sealed, moved, keys / "ec.key")


def test_truncated_pkcs7_envelope_is_refused(keys):
    sealed, annotations = seal(f"pkcs7:{keys}/rsa.crt", data=b"layer")
    envelope = b64decode(annotations[PKCS7])
    for end in (0, 1, 2, 30, 100, len(envelope) - 1):
        cut = annotations | {PKCS7: b64encode(envelope[:end]).decode()}
        with pytest.raises(MalformedError):
            unseal(sealed, cut, keys / "rsa.key")


@pytest.mark.parametrize(
    ("text", "error", "file"),
    [
        ("rsa.pub", UsageError, None),
        ("jwe:", UsageError, None),
        ("pkcs11:token", UnsupportedError, None),
        ("jwe:{}/absent", ConfigError, "absent"),
        ("jwe:{}/rsa.key", ConfigError, "rsa.key"),
        ("jwe:{}/ed.pub", UnsupportedError, "ed.pub"),
        ("pkcs7:{}/rsa.pub", ConfigError, "rsa.pub"),
        ("provider:", UsageError, None),
    ],
)
def test_invalid_recipient_is_refused(keys, text, error, file):
    with pytest.raises(error) as raised:
        ocicrypt.create_encryptor([text.format(keys)])
    assert type(raised.value) is error
    assert raised.value.path == (file and str(keys / file))


@pytest.mark.parametrize(
    ("text", "error", "file"),
    [
        ("{}/absent", ConfigError, "absent"),
        ("{}/rsa.pub", ConfigError, "rsa.pub"),
        ("{}/locked.key", UsageError, "locked.key"),
        ("{}/locked.key:wrong-password", ConfigError, "locked.key"),
        ("{}/rsa.key:needless", UsageError, "rsa.key"),
        ("{}/rsa.key:fd=x", UsageError, None),
        ("{}/ed.key", UnsupportedError, "ed.key"),
    ],
)
def test_invalid_decryption_key_is_refused(keys, text, error, file):
    with pytest.raises(error) as raised:
        ocicrypt.create_decryptor([text.format(keys)])
    assert type(raised.value) is error
    assert raised.value.path == (file and str(keys / file))
    assert "wrong-password" not in str(raised.value)


PROVIDER = """
import base64, json, sys
question = json.load(sys.stdin)
turn = lambda text: base64.b64encode(base64.b64decode(text)[::-1]).decode()
if question["op"] == "keywrap":
    part = question["keywrapparams"]
    assert base64.b64decode(part["ec"]["Parameters"]["acme"][0]) == b"vault-7"
    print(json.dumps({"keywrapresults": {"annotation": turn(part["optsdata"])}}))
else:
    part = question["keyunwrapparams"]
    print(json.dumps({"keyunwrapresults": {"optsdata": turn(part["annotation"])}}))
"""


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"key-providers": []}', '{"key-providers": {"a": {"cmd": {}}}}']
)
def test_invalid_configuration_of_providers_is_refused(tmp_path, text):
    configuration = tmp_path / "providers.json"
    configuration.write_text(text)
    with pytest.raises(ConfigError) as raised:
        seal("provider:a:b", configuration=configuration)
    assert raised.value.path == str(configuration)


def test_key_provider_wraps_and_unwraps_the_secret(tmp_path):
    (tmp_path / "provider.py").write_text(PROVIDER)
    command = {"path": sys.executable, "args": [f"{tmp_path}/provider.py"]}
    providers = {
        "acme": {"cmd": command},
        "remote": {"grpc": "localhost:5"},
        "broken": {"cmd": {"path": "/bin/false"}},
    }
    configuration = tmp_path / "providers.json"
    configuration.write_text(json.dumps({"key-providers": providers}))
    sealed, annotations = seal("provider:acme:vault-7", configuration=configuration)
    assert set(annotations) == {f"{ocicrypt.KEYS}provider.acme", PUBLIC_OPTIONS}
    given = {"configuration": configuration}
    assert unseal(sealed, annotations, "provider:acme", **given) == DATA
    with pytest.raises(NoDecryptionKeyError) as raised:
        unseal(sealed, annotations, **given)
    assert raised.value.protocols == ("provider.acme",)
    for name, error in (
        ("remote", UnsupportedError),
        ("broken", UsageError),
        ("absent", UsageError),
    ):
        with pytest.raises(error, match=f"key provider '{name}'"):
            seal(f"provider:{name}", **given)


def test_cancelled_run_ends_a_key_provider(keys, tmp_path):
    cancellation = Cancellation()
    cancellation.request()
    providers = {"slow": {"cmd": {"path": "/bin/sleep", "args": ["60"]}}}
    configuration = tmp_path / "providers.json"
    configuration.write_text(json.dumps({"key-providers": providers}))
    encrypt = ocicrypt.create_encryptor(["provider:slow"], configuration, cancellation)
    stream = encrypt(io.BytesIO(DATA), layer(DATA))
    stream.read()
    with pytest.raises(CancelledError):
        stream.annotations()
    sealed, annotations = seal("jwe:" + str(keys / "rsa.pub"))
    annotations[f"{ocicrypt.KEYS}provider.slow"] = annotations.pop(JWE)
    decrypt = ocicrypt.create_decryptor(["provider:slow"], configuration, cancellation)
    with pytest.raises(CancelledError):
        decrypt(io.BytesIO(sealed), layer(sealed, annotations)).read()


@pytest.fixture(scope="module")
def pgp(tmp_path_factory):
    """An exported secret key with a password; yields the home directory of gpg and the file."""
    home = tmp_path_factory.mktemp("gpg", numbered=True)
    home.chmod(stat.S_IRWXU)
    environment = {**os.environ, "GNUPGHOME": str(home)}  # noqa: TID251 - gpg needs a PATH

    def gpg(*arguments):
        command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        return done.stdout

    password = ["--passphrase", "secret"]
    gpg(*password, "--quick-gen-key", "Reader <reader@example.com>", "default", "default", "never")
    file = home / "exported.gpg"
    file.write_bytes(gpg(*password, "--export-secret-keys", "reader@example.com"))
    yield home, file
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=False)


def test_pgp_key_decrypts_the_layer(pgp, monkeypatch):
    home, file = pgp
    monkeypatch.setenv("GNUPGHOME", str(home))
    sealed, annotations = seal("pgp:reader@example.com")
    assert set(annotations) == {PGP, PUBLIC_OPTIONS}
    monkeypatch.setenv("GNUPGHOME", "/nonexistent")
    assert unseal(sealed, annotations, f"{file}:secret") == DATA
    with pytest.raises(NoDecryptionKeyError) as raised:
        unseal(sealed, annotations, f"{file}:wrong")
    assert raised.value.protocols == ("pgp",)


def test_compressed_pgp_packet_is_not_decompressed_without_limit(pgp, monkeypatch):
    """Anyone who has the public key can create such a packet of a kilobyte."""
    home, file = pgp
    monkeypatch.setenv("GNUPGHOME", str(home))
    command = ["gpg", "--batch", "--trust-model", "always", "-er", "reader@example.com"]
    bomb = subprocess.run(command, input=bytes(30_000_000), capture_output=True, check=True).stdout
    assert len(bomb) < 100_000
    with pytest.raises(LimitError):
        unwrap(bomb, [SecretKey(file.read_bytes(), b"secret")], Cancellation())


def test_time_to_unwrap_several_keys_is_limited(keys, monkeypatch):
    """The program gpg may need its whole time limit for each of them."""
    monkeypatch.setattr("bundler.trust.ocicrypt.recipients._MAX_TIME", 0.0)
    sealed, annotations = seal(f"jwe:{keys}/other.pub", data=b"x")
    annotations[JWE] = f"{annotations[JWE]},{annotations[JWE]}"
    with pytest.raises(LimitError):
        unseal(sealed, annotations, keys / "rsa.key")


def test_unknown_pgp_recipient_is_refused(pgp, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(pgp[0]))
    with pytest.raises(UsageError, match=r"nobody@example\.com"):
        seal("pgp:nobody@example.com")
