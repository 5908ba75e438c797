"""Readers that encrypt a layer, or decrypt and authenticate it.

The cipher is AES-256 in counter mode, with an HMAC-SHA-256 over the encrypted bytes. Both use one
key, which is wrapped for the recipients and stored in the annotations of the layer's descriptor.

https://github.com/containers/ocicrypt/blob/v1.2.1/blockcipher/blockcipher_aes_ctr.go
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bundler.content.streams import BUFFER_SIZE, Reader, new_buffer
from bundler.errors import IntegrityError, MalformedError, UnsupportedError
from bundler.oci.json.base64_strict import encode
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


PUBLIC_OPTIONS = "org.opencontainers.image.enc.pubopts"

_CIPHER = "AES_256_CTR_HMAC_SHA256"
_KEY_SIZE, _NONCE_SIZE = 32, 16
_BLOCK = 16
_MAX_OPTIONS = 64 * 1024


class EncryptingReader(Reader):
    """Reader that encrypts ``source``, which the caller closes. Not thread-safe.

    ``wrap`` returns annotations with the wrapped secret of the layer.
    """

    def __init__(self, source: Reader, wrap: Callable[[bytes], Mapping[str, str]]) -> None:
        self._source = source
        self._wrap = wrap
        self._key, self._nonce = os.urandom(_KEY_SIZE), os.urandom(_NONCE_SIZE)
        self._cipher = _CounterMode(self._key, self._nonce)
        self._hmac = hmac.new(self._key, digestmod="sha256")
        self._hasher = hashlib.sha256()
        self._buffer = new_buffer()
        self._ended = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of ``buffer``; return 0 at the end."""
        plain = self._buffer[: len(buffer)]
        count = self._source.readinto(plain)
        self._hasher.update(plain[:count])
        buffer[:count] = self._cipher.apply(plain[:count])
        self._hmac.update(buffer[:count])
        self._ended = self._ended or (count == 0 and len(buffer) > 0)
        return count

    def annotations(self) -> Mapping[str, str]:
        """Return the annotations that are needed to decrypt the layer.

        Raises:
            RuntimeError: the layer was not read to its end.
        """
        if not self._ended:
            raise RuntimeError("the stream has not been read to its end")
        private = {
            "symkey": encode(self._key),
            "digest": f"sha256:{self._hasher.hexdigest()}",
            "cipheroptions": {"nonce": encode(self._nonce)},
        }
        public = {"cipher": _CIPHER, "hmac": encode(self._hmac.digest()), "cipheroptions": {}}
        return {
            **self._wrap(json.dumps(private, separators=(",", ":")).encode()),
            PUBLIC_OPTIONS: encode(json.dumps(public, separators=(",", ":")).encode()),
        }

    def close(self) -> None:
        """Do nothing: the reader owns no resource."""


def open_decrypted(
    source: Reader,
    annotations: Mapping[str, str],
    unwrap: Callable[[Mapping[str, str]], bytes],
    subject: str,
) -> DecryptingReader:
    """Open a reader that decrypts the layer ``source``, which the caller closes.

    ``unwrap`` unwraps the secret in ``annotations``, which are those of the layer's descriptor.

    Raises:
        MalformedError: the annotations are invalid.
        UnsupportedError: the cipher is not supported.
    """
    encryption = f"{subject}: encryption"
    if PUBLIC_OPTIONS not in annotations:
        raise MalformedError(f"{encryption}: the annotation {PUBLIC_OPTIONS} is missing")
    options = Table(annotations, encryption)
    public = Table.parse(options.base64(PUBLIC_OPTIONS), encryption, limit=_MAX_OPTIONS)
    cipher = public.optional_text("cipher")
    if cipher != _CIPHER:
        raise UnsupportedError(f"{encryption}: unsupported cipher {(cipher or 'none')[:60]!r}")
    private = Table.parse(unwrap(annotations), encryption, limit=_MAX_OPTIONS)
    key, expected = private.base64("symkey"), public.base64("hmac")
    # The nonce of the private options takes precedence: the public ones are not authenticated.
    preferred, fallback = private.table("cipheroptions"), public.table("cipheroptions")
    nonce = (preferred if "nonce" in preferred else fallback).base64("nonce")
    if len(key) != _KEY_SIZE or len(nonce) != _NONCE_SIZE or len(expected) != 32:
        raise MalformedError(f"{encryption}: the key, the nonce or the HMAC has the wrong size")
    return DecryptingReader(source, key, nonce, expected, subject)


class DecryptingReader(Reader):
    """Reader that decrypts a layer, and returns the last part only after verifying the HMAC.

    A consumer that stores the layer while reading it never completes a forged layer. All parts
    before the last one are unverified. Not thread-safe.
    """

    def __init__(
        self, source: Reader, key: bytes, nonce: bytes, expected: bytes, subject: str
    ) -> None:
        self._source = source
        self._cipher = _CounterMode(key, nonce)
        self._hmac = hmac.new(key, digestmod="sha256")
        self._expected = expected
        self._subject = subject
        self._piece, self._next = new_buffer(), new_buffer()
        self._ready = memoryview(b"")
        self._waiting = memoryview(b"")
        self._ended = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of ``buffer``; return 0 at the end.

        Raises:
            IntegrityError: the HMAC is wrong.
        """
        while not self._ready and not self._ended:
            # Read the next part, and decrypt the pending one; at the end, verify the HMAC first.
            self._piece, self._next = self._next, self._piece
            size = self._source.readinto(self._next)
            self._hmac.update(self._next[:size])
            if not size:
                if not hmac.compare_digest(self._hmac.digest(), self._expected):
                    raise IntegrityError(
                        f"{self._subject}: wrong HMAC: the encrypted layer was changed"
                    )
                self._ended = True
            self._ready = self._cipher.apply(self._waiting)
            self._waiting = self._next[:size]
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


class _CounterMode:
    """AES-256 in counter mode. Encryption and decryption are the same operation."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._context = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
        self._buffer = memoryview(bytearray(BUFFER_SIZE + _BLOCK - 1))

    def apply(self, data: memoryview) -> memoryview:
        """Encrypt or decrypt ``data``; the result is valid until the next call."""
        return self._buffer[: self._context.update_into(data, self._buffer)]
