"""Wrap secrets with certificates in PKCS #7 envelopes, and unwrap them with private keys.

https://www.rfc-editor.org/rfc/rfc5652#section-6, https://www.rfc-editor.org/rfc/rfc5084
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.trust import der

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
    """Encrypt ``secret`` for the key of each certificate."""
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(secret)
    builder = builder.set_content_encryption_algorithm(algorithms.AES256)
    for certificate in certificates:
        builder = builder.add_recipient(certificate)
    return builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])


def unwrap(packet: bytes, keys: Sequence[PrivateKey], subject: str) -> bytes | None:
    """Decrypt ``packet`` with the first suitable RSA key. None if no key is suitable.

    Raises:
        LimitError: the envelope has too many recipients.
        MalformedError: ``packet`` is not a PKCS #7 envelope.
        UnsupportedError: the content is not encrypted with AES.
    """
    envelope = _parse(packet, f"{subject}: wrapped key (pkcs7)")
    for key in keys:
        if not isinstance(key, rsa.RSAPrivateKey):
            continue
        for wrapped in envelope.wrapped_keys:
            try:
                # With the wrong key, OpenSSL returns a random content key, and decryption fails.
                secret = envelope.decrypt(key.decrypt(wrapped, padding.PKCS1v15()))
            except (ValueError, InvalidTag):
                continue
            if secret.startswith(b"{"):
                return secret
    return None


class _Envelope(NamedTuple):
    wrapped_keys: tuple[bytes, ...]
    cipher: int
    nonce: bytes
    content: bytes

    def decrypt(self, key: bytes) -> bytes:
        if len(key) != (_CBC_SIZES | _GCM_SIZES)[self.cipher]:
            raise ValueError("wrong size of the content key")
        if self.cipher in _GCM_SIZES:
            return AESGCM(key).decrypt(self.nonce, self.content, None)
        decryptor = Cipher(algorithms.AES(key), modes.CBC(self.nonce)).decryptor()
        unpadder = PKCS7(128).unpadder()
        return unpadder.update(decryptor.update(self.content)) + unpadder.finalize()


def _parse(packet: bytes, subject: str) -> _Envelope:
    """Parse an envelope in DER, as ocicrypt and this module write it."""
    try:
        [content_info] = der.parse_values(packet)
        identifier, explicit = der.parse_values(content_info.content)[:2]
        if identifier.content != _ENVELOPED:
            raise ValueError("not enveloped data")  # noqa: TRY301 - reported below
        [enveloped] = der.parse_values(explicit.content)
        _, recipients, sealed = der.parse_values(enveloped.content)[:3]
        wrapped = [
            der.parse_values(recipient.content)
            for recipient in der.parse_values(recipients.content)
        ]
        _, algorithm, content = der.parse_values(sealed.content)[:3]
        cipher, parameters = der.parse_values(algorithm.content)[:2]
        # Recipients with an RSA key that are identified by issuer and serial number.
        keys = tuple(
            parts[3].content
            for parts in wrapped
            if len(parts) == 4 and der.parse_values(parts[2].content)[0].content == _RSA
        )
        while parameters.tag & ~_CONSTRUCTED == _SEQUENCE:  # ocicrypt nests the sequence twice
            parameters = der.parse_values(parameters.content)[0]
        nonce = parameters.content
        data = content.content
        if content.tag & _CONSTRUCTED:
            data = b"".join(part.content for part in der.parse_values(data))
    except ValueError:
        raise MalformedError(f"{subject}: not a PKCS #7 envelope") from None
    if len(wrapped) > _MAX_RECIPIENTS:
        raise LimitError(f"{subject}: too many recipients (expected at most {_MAX_RECIPIENTS})")
    algorithm_id = cipher.content[-1] if cipher.content[:-1] == _AES else 0
    if algorithm_id not in _CBC_SIZES and algorithm_id not in _GCM_SIZES:
        raise UnsupportedError(f"{subject}: unsupported encryption (expected AES)")
    return _Envelope(keys, algorithm_id, nonce, data)
