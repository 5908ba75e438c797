"""Recipients of encrypted layers, and the keys that decrypt the layers.

The secret of a layer is wrapped for each recipient:

    jwe:FILE         a public key, RSA or elliptic curve
    pkcs7:FILE       a certificate with an RSA key
    pgp:NAME         a key in the key ring of gpg, by name or email address
    provider:NAME    a program in the configuration file of key providers

The wrapped secrets are annotations of the descriptor, one for each protocol, in base64. Commas
separate several secrets of one protocol.

https://github.com/containers/ocicrypt/blob/v1.2.1/README.md
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    load_der_public_key,
    load_pem_public_key,
)

from bundler.cancel import Cancellation
from bundler.errors import (
    ConfigError,
    LimitError,
    NoDecryptionKeyError,
    UnsupportedError,
    UsageError,
)
from bundler.oci.json import base64_strict
from bundler.trust.ocicrypt import jwe, keyprovider, pgp, pkcs7
from bundler.trust.ocicrypt.cipher_stream import DecryptingReader, EncryptingReader, open_decrypted
from bundler.trust.private_keys.decrypt_key import decrypt_key, load_key
from bundler.trust.private_keys.derivation_cost import check_derivation_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor

KEYS = "org.opencontainers.image.enc.keys."

_MAX_FILE = 1024 * 1024
_MAX_PACKETS = 64
_MAX_TIME = 120.0  # seconds, after which no further wrapped key is tried
_KEY_SIZE = 32  # bytes of the key that is encrypted for each recipient
_PGP_SECRET_KEY = (b"-----BEGIN PGP PRIVATE KEY", b"\x94", b"\x95", b"\xc5")


def create_encryptor(
    recipients: Sequence[str],
    configuration: Path | None = None,
    cancellation: Cancellation | None = None,
) -> Callable[[Reader, Descriptor], EncryptingReader]:
    """Return a function that encrypts layers.

    Args:
        recipients: at least one recipient, as ``PROTOCOL:NAME``.
        configuration: the configuration file of key providers; None if there is none.
        cancellation: ends the programs of key providers.

    Raises:
        ConfigError, UnsupportedError, UsageError: a recipient is invalid, or its file cannot be
            read.
    """
    parsed = _Recipients(keyprovider.load_commands(configuration), cancellation or Cancellation())
    for text in recipients:
        protocol, colon, name = text.partition(":")
        match protocol if colon and name else "":
            case "jwe":
                parsed.public_keys.append(_load_public_key(_read_file(name), name))
            case "pkcs7":
                parsed.certificates.append(_load_certificate(_read_file(name), name))
            case "pgp":
                parsed.pgp_names.append(name)
            case "provider":
                parsed.providers.append(_parse_provider(name))
            case "pkcs11":
                raise UnsupportedError(f"{text!r}: hardware tokens (pkcs11) are not supported")
            case _:
                raise UsageError(
                    f"{text!r}: invalid recipient",
                    hint="use jwe:FILE, pkcs7:FILE, pgp:NAME or provider:NAME",
                )
    return lambda source, _: EncryptingReader(source, parsed.wrap)


def create_decryptor(
    keys: Sequence[str],
    configuration: Path | None = None,
    cancellation: Cancellation | None = None,
) -> Callable[[Reader, Descriptor], DecryptingReader]:
    """Return a function that decrypts layers.

    Args:
        keys: ``FILE``, ``FILE:PASSWORD`` or ``provider:NAME``. A password may have the form
            ``pass=PASSWORD``, ``file=PATH`` or ``fd=NUMBER``. Certificates are ignored, because
            only other tools need them.
        configuration: the configuration file of key providers; None if there is none.
        cancellation: ends the decryption of the keys, and the programs of key providers.

    Raises:
        ConfigError, UnsupportedError, UsageError: a key is invalid, or its file cannot be read.
    """
    cancellation = cancellation or Cancellation()
    parsed = _DecryptionKeys(keyprovider.load_commands(configuration), cancellation)
    for text in keys:
        path, _, secret = text.partition(":")
        if path == "provider":
            name, parameter = _parse_provider(secret)
            parsed.providers[name] = parameter
            continue
        data, password = _read_file(path), _read_password(secret)
        if data.startswith(_PGP_SECRET_KEY):
            parsed.pgp_keys.append(pgp.SecretKey(data, password))
        elif not _is_certificate(data):
            parsed.private_keys.append(_load_private_key(data, password, path, cancellation))

    def decrypt(source: Reader, layer: Descriptor) -> DecryptingReader:
        subject = f"layer {layer.digest}"
        return open_decrypted(
            source, layer.annotations, lambda packed: parsed.unwrap(packed, subject), subject
        )

    return decrypt


@dataclass(frozen=True, slots=True)
class _Recipients:
    commands: Mapping[str, keyprovider.KeyproviderCommand]
    cancellation: Cancellation
    public_keys: list[jwe.PublicKey] = field(default_factory=list)
    certificates: list[x509.Certificate] = field(default_factory=list)
    pgp_names: list[str] = field(default_factory=list)
    providers: list[tuple[str, str]] = field(default_factory=list)
    """The name and the parameter of each key provider."""

    def wrap(self, secret: bytes) -> dict[str, str]:
        """Wrap the secret of a layer for all recipients; return it as annotations of the layer."""
        packets: dict[str, bytes] = {}
        if self.public_keys:
            packets["jwe"] = jwe.wrap(secret, self.public_keys)
        if self.certificates:
            packets["pkcs7"] = pkcs7.wrap(secret, self.certificates)
        if self.pgp_names:
            packets["pgp"] = pgp.wrap(secret, self.pgp_names)
        for name, parameter in self.providers:
            command = keyprovider.find_command(name, self.commands)
            packets[f"provider.{name}"] = keyprovider.wrap(
                secret, name, parameter, command, self.cancellation
            )
        return {KEYS + name: base64_strict.encode(packet) for name, packet in packets.items()}


@dataclass(frozen=True, slots=True)
class _DecryptionKeys:
    commands: Mapping[str, keyprovider.KeyproviderCommand]
    cancellation: Cancellation
    private_keys: list[jwe.PrivateKey] = field(default_factory=list)
    pgp_keys: list[pgp.SecretKey] = field(default_factory=list)
    providers: dict[str, str] = field(default_factory=dict)
    """The parameter of each key provider, by its name."""

    def unwrap(self, annotations: Mapping[str, str], subject: str) -> bytes:
        """Unwrap the secret in ``annotations`` with the first suitable key.

        Raises:
            NoDecryptionKeyError: no key is suitable.
            MalformedError: the annotations are invalid.
            LimitError: there are too many wrapped keys, or they take too long.
        """
        wrapped = {
            name.removeprefix(KEYS): text
            for name, text in annotations.items()
            if name.startswith(KEYS)
        }
        deadline = time.monotonic() + _MAX_TIME
        for protocol, text in wrapped.items():
            parts = text.split(",")
            if len(parts) > _MAX_PACKETS or len(text) > _MAX_FILE:
                raise LimitError(f"{subject}: too many wrapped keys, or one is too large")
            # Every part is decoded before the first one is used.
            packets = [base64_strict.decode(part, f"{subject}: wrapped key") for part in parts]
            for packet in packets:
                secret = self.unwrap_packet(protocol, packet, subject)
                if secret is not None:
                    return secret
                if time.monotonic() > deadline:
                    raise LimitError(
                        f"{subject}: wrapped keys take more than {_MAX_TIME:g} seconds"
                    )
        raise NoDecryptionKeyError(subject, sorted(wrapped))

    def unwrap_packet(self, protocol: str, packet: bytes, subject: str) -> bytes | None:
        """Unwrap one secret; return None if no key is suitable."""
        scheme, _, name = protocol.partition(".")
        match scheme:
            case "jwe":
                return jwe.unwrap(packet, self.private_keys, subject)
            case "pkcs7":
                return pkcs7.unwrap(packet, self.private_keys, subject)
            case "pgp":
                return pgp.unwrap(packet, self.pgp_keys, self.cancellation)
            case "provider" if name in self.providers:
                command = keyprovider.find_command(name, self.commands)
                return keyprovider.unwrap(
                    packet, name, self.providers[name], command, self.cancellation
                )
            case _:
                return None


def _parse_provider(text: str) -> tuple[str, str]:
    name, colon, parameter = text.partition(":")
    if not name:
        raise UsageError("provider: the name is missing", hint="use provider:NAME")
    return name, parameter if colon else "Enabled"


def _read_password(text: str) -> bytes | None:
    """Read a password in one of the forms of ``create_decryptor``; None if ``text`` is empty."""
    form, equals, value = text.partition("=")
    match form if equals else "":
        case "pass":
            return value.encode()
        case "file":
            return _read_file(value)
        case "fd":
            try:
                return os.read(int(value), _MAX_FILE)
            except (ValueError, OSError):
                raise UsageError(f"fd={value[:20]}: the password cannot be read") from None
        case _:
            return text.encode() or None


def _read_file(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError as error:
        problem = f"{path}: cannot be read: {error.strerror}"
        raise ConfigError(problem, path=path, os_error=error) from None
    if len(data) > _MAX_FILE:
        raise ConfigError(f"{path}: too large for a key", path=path)
    return data


def _load_public_key(data: bytes, path: str) -> jwe.PublicKey:
    load = load_pem_public_key if b"-----BEGIN" in data else load_der_public_key
    try:
        key = load(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: not a public key in PEM or DER", path=path) from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        problem = f"{path}: unsupported key (expected RSA or elliptic curve)"
        raise UnsupportedError(problem, path=path)
    if isinstance(key, rsa.RSAPublicKey):
        _check_rsa_key(key, path)
    return key


def _check_rsa_key(key: rsa.RSAPublicKey, path: str) -> None:
    """Check that OpenSSL encrypts with a key: it limits the modulus and the exponent."""
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    try:
        key.encrypt(bytes(_KEY_SIZE), scheme)
    except ValueError:
        raise UnsupportedError(
            f"{path}: the RSA key cannot encrypt (expected 2,048 to 16,384 bits and a small"
            f" exponent, got {key.key_size:,} bits)",
            path=path,
        ) from None


def _load_private_key(
    data: bytes, password: bytes | None, path: str, cancellation: Cancellation
) -> jwe.PrivateKey:
    try:
        if password is None:
            key = load_key(data)
        else:
            check_derivation_cost(data, path)
            key = load_key(decrypt_key(data, password, cancellation))
    except TypeError:
        problem = (
            "the key is encrypted, and no password is specified"
            if password is None
            else "a password is specified, but the key is not encrypted"
        )
        raise UsageError(
            f"{path}: {problem}",
            path=path,
            hint=f"use {path}:file=PATH for an encrypted key, or {path} for an unencrypted one",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        problem = f"{path}: not a private key, or encrypted with another password"
        raise ConfigError(problem, path=path) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        problem = f"{path}: unsupported key (expected RSA or elliptic curve)"
        raise UnsupportedError(problem, path=path)
    return key


def _load_certificate(data: bytes, path: str) -> x509.Certificate:
    pem = b"-----BEGIN" in data
    try:
        found = (
            x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
        )
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: not a certificate in PEM or DER", path=path) from None
    if not isinstance(key, rsa.RSAPublicKey):
        problem = f"{path}: unsupported key in the certificate (expected RSA)"
        raise UnsupportedError(problem, path=path)
    _check_rsa_key(key, path)
    return found


def _is_certificate(data: bytes) -> bool:
    if b"-----BEGIN" in data:
        return b"-----BEGIN CERTIFICATE" in data
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return False
    return True
