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
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from bundler.errors import ConfigError, LimitError, MalformedError, UnsupportedError, UsageError
from bundler.trust.ocicrypt import jwe, keyprovider, pgp, pkcs7
from bundler.trust.ocicrypt.cipher_stream import DecryptingReader, EncryptingReader, open_decrypted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor

KEYS = "org.opencontainers.image.enc.keys."

_MAX_FILE = 1024 * 1024
_MAX_PACKETS = 64
_PGP_SECRET_KEY = (b"-----BEGIN PGP PRIVATE KEY", b"\x94", b"\x95", b"\xc5")


@dataclass(frozen=True, slots=True)
class Recipients:
    """Recipients by protocol."""

    public_keys: tuple[jwe.PublicKey, ...] = ()
    certificates: tuple[x509.Certificate, ...] = ()
    pgp_names: tuple[str, ...] = ()
    providers: tuple[tuple[str, str], ...] = ()
    """Name and parameter of each key provider."""


@dataclass(frozen=True, slots=True)
class DecryptionKeys:
    """Keys by protocol."""

    private_keys: tuple[jwe.PrivateKey, ...] = ()
    pgp_keys: tuple[pgp.SecretKey, ...] = ()
    providers: tuple[tuple[str, str], ...] = ()


def create_encryptor(
    recipients: Sequence[str], configuration: Path | None = None
) -> Callable[[Reader, Descriptor], EncryptingReader]:
    """Return a function that encrypts layers.

    Args:
        recipients: at least one recipient, as ``PROTOCOL:NAME``.
        configuration: the configuration file of key providers; None if there is none.

    Raises:
        UsageError: a recipient is invalid, or its file cannot be read.
    """
    parsed = parse_recipients(recipients)
    commands = keyprovider.load_commands(configuration)

    def encrypt(source: Reader, _: Descriptor) -> EncryptingReader:
        return EncryptingReader(source, lambda secret: wrap(secret, parsed, commands))

    return encrypt


def create_decryptor(
    keys: Sequence[str], configuration: Path | None = None
) -> Callable[[Reader, Descriptor], DecryptingReader]:
    """Return a function that decrypts layers.

    Args:
        keys: ``FILE``, ``FILE:PASSWORD`` or ``provider:NAME``. A password may have the form
            ``pass=PASSWORD``, ``file=PATH`` or ``fd=NUMBER``. Certificates are ignored, because
            only other tools need them.
        configuration: the configuration file of key providers; None if there is none.

    Raises:
        UsageError: a key is invalid, or its file cannot be read.
    """
    parsed = parse_keys(keys)
    commands = keyprovider.load_commands(configuration)

    def decrypt(source: Reader, layer: Descriptor) -> DecryptingReader:
        subject = f"layer {layer.digest}"
        return open_decrypted(
            source,
            layer.annotations,
            lambda annotations: unwrap(annotations, parsed, commands, subject),
            subject,
        )

    return decrypt


def wrap(
    secret: bytes, recipients: Recipients, commands: Mapping[str, keyprovider.KeyproviderCommand]
) -> dict[str, str]:
    """Wrap ``secret`` for all ``recipients``; return it as annotations of the layer."""
    packets: dict[str, bytes] = {}
    if recipients.public_keys:
        packets["jwe"] = jwe.wrap(secret, recipients.public_keys)
    if recipients.certificates:
        packets["pkcs7"] = pkcs7.wrap(secret, recipients.certificates)
    if recipients.pgp_names:
        packets["pgp"] = pgp.wrap(secret, recipients.pgp_names)
    for name, parameter in recipients.providers:
        command = keyprovider.find_command(name, commands)
        packets[f"provider.{name}"] = keyprovider.wrap(secret, name, parameter, command)
    return {KEYS + name: b64encode(packet).decode() for name, packet in packets.items()}


def unwrap(
    annotations: Mapping[str, str],
    keys: DecryptionKeys,
    commands: Mapping[str, keyprovider.KeyproviderCommand],
    subject: str,
) -> bytes:
    """Unwrap the secret in ``annotations`` with the first suitable key.

    Raises:
        UsageError: no key is suitable.
        MalformedError: the annotations are invalid.
    """
    for name, text in annotations.items():
        if not name.startswith(KEYS):
            continue
        protocol = name.removeprefix(KEYS)
        for packet in _decode_packets(text, subject):
            secret = _unwrap_one(protocol, packet, keys, commands, subject)
            if secret is not None:
                return secret
    protocols = sorted(name.removeprefix(KEYS) for name in annotations if name.startswith(KEYS))
    raise UsageError(
        f"{subject}: encrypted for {', '.join(protocols)[:200] or 'no recipient'}, "
        "and no given key decrypts it",
        hint="specify the private key with --decryption-key",
    )


def parse_recipients(texts: Sequence[str]) -> Recipients:
    """Parse recipients and read their files; raises as ``create_encryptor``."""
    public_keys, certificates, names, providers = [], [], [], []
    for text in texts:
        protocol, colon, name = text.partition(":")
        match protocol if colon and name else "":
            case "jwe":
                public_keys.append(_load_public_key(_read_file(name), name))
            case "pkcs7":
                certificates.append(_load_certificate(_read_file(name), name))
            case "pgp":
                names.append(name)
            case "provider":
                providers.append(_parse_provider(name))
            case "pkcs11":
                raise UnsupportedError(f"{text!r}: hardware tokens (pkcs11) are not supported")
            case _:
                raise UsageError(
                    f"{text!r}: invalid recipient",
                    hint="use jwe:FILE, pkcs7:FILE, pgp:NAME or provider:NAME",
                )
    return Recipients(tuple(public_keys), tuple(certificates), tuple(names), tuple(providers))


def parse_keys(texts: Sequence[str]) -> DecryptionKeys:
    """Parse keys and read their files; raises as ``create_decryptor``."""
    private_keys, pgp_keys, providers = [], [], []
    for text in texts:
        path, _, secret = text.partition(":")
        if path == "provider":
            providers.append(_parse_provider(secret))
            continue
        data, password = _read_file(path), _read_password(secret)
        if data.startswith(_PGP_SECRET_KEY):
            pgp_keys.append(pgp.SecretKey(data, password))
        elif not _is_certificate(data):
            private_keys.append(_load_private_key(data, password, path))
    return DecryptionKeys(tuple(private_keys), tuple(pgp_keys), tuple(providers))


def _unwrap_one(
    protocol: str,
    packet: bytes,
    keys: DecryptionKeys,
    commands: Mapping[str, keyprovider.KeyproviderCommand],
    subject: str,
) -> bytes | None:
    scheme, _, name = protocol.partition(".")
    match scheme:
        case "jwe":
            return jwe.unwrap(packet, keys.private_keys, subject)
        case "pkcs7":
            return pkcs7.unwrap(packet, keys.private_keys, subject)
        case "pgp":
            return pgp.unwrap(packet, keys.pgp_keys)
        case "provider" if name in dict(keys.providers):
            parameter = dict(keys.providers)[name]
            command = keyprovider.find_command(name, commands)
            return keyprovider.unwrap(packet, name, parameter, command)
    return None


def _decode_packets(text: str, subject: str) -> list[bytes]:
    parts = text.split(",")
    if len(parts) > _MAX_PACKETS or len(text) > _MAX_FILE:
        raise LimitError(f"{subject}: too many or too large wrapped secrets")
    try:
        return [b64decode(part, validate=True) for part in parts]
    except ValueError:
        raise MalformedError(f"{subject}: the wrapped secret is not base64") from None


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
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > _MAX_FILE:
        raise ConfigError(f"{path}: too large for a key")
    return data


def _load_public_key(data: bytes, path: str) -> jwe.PublicKey:
    load = load_pem_public_key if b"-----BEGIN" in data else load_der_public_key
    try:
        key = load(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: not a public key in PEM or DER") from None
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise UnsupportedError(f"{path}: unsupported key (expected RSA or elliptic curve)")
    return key


def _load_private_key(data: bytes, password: bytes | None, path: str) -> jwe.PrivateKey:
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    try:
        key = load(data, password)
    except TypeError:
        problem = (
            "the key is encrypted, and no password is specified"
            if password is None
            else "a password is specified, but the key is not encrypted"
        )
        raise UsageError(
            f"{path}: {problem}",
            hint=f"use {path}:file=PATH for an encrypted key, or {path} for an unencrypted one",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(
            f"{path}: not a private key, or encrypted with another password"
        ) from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise UnsupportedError(f"{path}: unsupported key (expected RSA or elliptic curve)")
    return key


def _load_certificate(data: bytes, path: str) -> x509.Certificate:
    pem = b"-----BEGIN" in data
    try:
        found = (
            x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
        )
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{path}: not a certificate in PEM or DER") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise UnsupportedError(f"{path}: unsupported key in the certificate (expected RSA)")
    return found


def _is_certificate(data: bytes) -> bool:
    if b"-----BEGIN" in data:
        return b"-----BEGIN CERTIFICATE" in data
    try:
        x509.load_der_x509_certificate(data)
    except ValueError:
        return False
    return True
