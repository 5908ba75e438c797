"""A secret for the owners of certificates, as a PKCS #7 envelope.

https://www.rfc-editor.org/rfc/rfc5652#section-6, https://www.rfc-editor.org/rfc/rfc5084
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from bundler.errors import LimitError, MalformedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from bundler.trust.ocicrypt.jwe import PrivateKey

_MAX_RECIPIENTS = 64
_SEQUENCE, _CONSTRUCTED = 0x10, 0x20
_ENVELOPED = bytes.fromhex("2a864886f70d010703")
_RSA = bytes.fromhex("2a864886f70d010101")
_AES = bytes.fromhex("6086480165030401")
_CBC_SIZES = {2: 16, 22: 24, 42: 32}
_GCM_SIZES = {6: 16, 26: 24, 46: 32}


def wrap(secret: bytes, certificates: Sequence[x509.Certificate]) -> bytes:
    """``secret`` for whoever has the private key of one of ``certificates``."""
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(secret)
    builder = builder.set_content_encryption_algorithm(algorithms.AES256)
    for certificate in certificates:
        builder = builder.add_recipient(certificate)
    return builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])


def unwrap(packet: bytes, keys: Sequence[PrivateKey], what: str) -> bytes | None:
    """The secret in ``packet``, or None where none of ``keys`` opens it.

    Raises:
        MalformedError: not a PKCS #7 envelope.
    """
    envelope = _parse(packet, f"{what}: its secret (pkcs7)")
    for key in keys:
        if not isinstance(key, rsa.RSAPrivateKey):
            continue
        for wrapped in envelope.wrapped_keys:
            try:
                # A key that does not fit gives a random one, which opens nothing.
                secret = envelope.open(key.decrypt(wrapped, padding.PKCS1v15()))
            except (ValueError, InvalidTag):
                continue
            if secret.startswith(b"{"):
                return secret
    return None


@dataclass(frozen=True, slots=True)
class _Envelope:
    wrapped_keys: tuple[bytes, ...]
    cipher: int
    nonce: bytes
    content: bytes

    def open(self, key: bytes) -> bytes:
        if len(key) != (_CBC_SIZES | _GCM_SIZES)[self.cipher]:
            raise ValueError("a key of another size")
        if self.cipher in _GCM_SIZES:
            return AESGCM(key).decrypt(self.nonce, self.content, None)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(self.nonce)).decryptor()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(decryptor.update(self.content)) + unpadder.finalize()


def _parse(packet: bytes, what: str) -> _Envelope:
    """Read an envelope in DER, as both sides of this protocol write it.

    Raises:
        UnsupportedError: its cipher is not AES.
    """
    try:
        [whole] = _values(packet)
        identifier, explicit = _values(whole.content)[:2]
        if identifier.content != _ENVELOPED:
            raise ValueError("another kind of content")  # noqa: TRY301 - told below
        [enveloped] = _values(explicit.content)
        _, recipients, sealed = _values(enveloped.content)[:3]
        wrapped = [_values(recipient.content) for recipient in _values(recipients.content)]
        _, algorithm, content = _values(sealed.content)[:3]
        cipher, parameters = _values(algorithm.content)[:2]
        keys = tuple(parts[3].content for parts in wrapped if _is_rsa(parts))
        while parameters.tag & ~_CONSTRUCTED == _SEQUENCE:  # two of them if ocicrypt wrote it
            parameters = _values(parameters.content)[0]
        nonce = parameters.content
        data = content.content
        if content.tag & _CONSTRUCTED:
            data = b"".join(part.content for part in _values(data))
    except ValueError:
        raise MalformedError(f"{what} is not an envelope") from None
    if len(wrapped) > _MAX_RECIPIENTS:
        raise LimitError(f"{what}: more than {_MAX_RECIPIENTS} recipients")
    kind = cipher.content[-1] if cipher.content[:-1] == _AES else 0
    if kind not in _CBC_SIZES and kind not in _GCM_SIZES:
        raise UnsupportedError(f"{what} is not encrypted by AES")
    return _Envelope(keys, kind, nonce, data)


def _is_rsa(parts: list[_Value]) -> bool:
    """Whether a recipient is one by issuer and serial number, with a key of RSA's."""
    return len(parts) == 4 and _values(parts[2].content)[0].content == _RSA


@dataclass(frozen=True, slots=True)
class _Value:
    tag: int
    content: bytes


def _values(data: bytes) -> list[_Value]:
    """The values that stand one after another in ``data``, in DER."""
    found = []
    at = 0
    while at < len(data):
        size, start = data[at + 1] if at + 1 < len(data) else 0x80, at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 0 < count <= 4:
                raise ValueError("a length that is not DER")
            size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if start + size > len(data):
            raise ValueError("ends early")
        found.append(_Value(data[at], data[start : start + size]))
        at = start + size
    if not found:
        raise ValueError("empty")
    return found
