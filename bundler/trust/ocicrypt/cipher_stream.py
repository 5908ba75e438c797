"""Encrypt a layer as it is read, and decrypt one that fails instead of ending on a forgery.

AES in counter mode, and an HMAC-SHA-256 of the encrypted bytes by the same key. The key goes,
wrapped for those who may read the layer, into the annotations of its descriptor.

https://github.com/containers/ocicrypt/blob/v1.2.1/blockcipher/blockcipher_aes_ctr.go
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bundler.content.streams.reader import BUFFER_SIZE, new_buffer
from bundler.errors import IntegrityError, MalformedError, UnsupportedError
from bundler.oci.json import fields, strict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.content.streams.reader import Reader

PUBLIC_OPTIONS = "org.opencontainers.image.enc.pubopts"

_CIPHER = "AES_256_CTR_HMAC_SHA256"
_KEY_SIZE, _NONCE_SIZE = 32, 16
_BLOCK = 16
_MAX_OPTIONS = 64 * 1024


class EncryptingReader:
    """The encrypted form of ``source``, whose owner closes it. Not for two threads at once.

    Args:
        source: the layer, in the form that is to come back.
        wrap: makes annotations of the secret that decrypts the layer.
    """

    def __init__(self, source: Reader, wrap: Callable[[bytes], Mapping[str, str]]) -> None:
        self._source = source
        self._wrap = wrap
        self._key, self._nonce = os.urandom(_KEY_SIZE), os.urandom(_NONCE_SIZE)
        self._cipher = _Counter(self._key, self._nonce)
        self._hmac = hmac.new(self._key, digestmod="sha256")
        self._hasher = hashlib.sha256()
        self._buffer = new_buffer()
        self._ended = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end."""
        plain = self._buffer[: len(buffer)]
        count = self._source.readinto(plain)
        self._hasher.update(plain[:count])
        buffer[:count] = self._cipher.turn(plain[:count])
        self._hmac.update(buffer[:count])
        self._ended = self._ended or (count == 0 and len(buffer) > 0)
        return count

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        return _read(self, size)

    def annotations(self) -> Mapping[str, str]:
        """What the layer's descriptor has to say for it to be decrypted; only after the end."""
        if not self._ended:
            raise RuntimeError("the stream has not been read to its end")
        private = {
            "symkey": _text(self._key),
            "digest": f"sha256:{self._hasher.hexdigest()}",
            "cipheroptions": {"nonce": _text(self._nonce)},
        }
        public = {"cipher": _CIPHER, "hmac": _text(self._hmac.digest()), "cipheroptions": {}}
        return {
            **self._wrap(json.dumps(private, separators=(",", ":")).encode()),
            PUBLIC_OPTIONS: _text(json.dumps(public, separators=(",", ":")).encode()),
        }

    def close(self) -> None:
        """Nothing is held but memory."""


def open_decrypted(
    source: Reader,
    annotations: Mapping[str, str],
    unwrap: Callable[[Mapping[str, str]], bytes],
    what: str,
) -> DecryptingReader:
    """What is in the encrypted layer ``source``, whose owner closes it.

    Args:
        source: the encrypted bytes.
        annotations: of the layer's descriptor.
        unwrap: finds the secret in the annotations.
        what: how messages name the layer.

    Raises:
        MalformedError: the annotations are damaged.
        UnsupportedError: the layer is encrypted in an unknown way.
    """
    public = _options(_bytes(annotations.get(PUBLIC_OPTIONS), PUBLIC_OPTIONS, what), what)
    cipher = fields.text(public, "cipher", what)
    if cipher != _CIPHER:
        raise UnsupportedError(f"{what}: encrypted by {(cipher or 'an unnamed cipher')[:60]!r}")
    private = _options(unwrap(annotations), what)
    key = _bytes(private.get("symkey"), "symkey", what)
    nonce = _bytes((_mapping(public, what) | _mapping(private, what)).get("nonce"), "nonce", what)
    expected = _bytes(public.get("hmac"), "hmac", what)
    if len(key) != _KEY_SIZE or len(nonce) != _NONCE_SIZE or len(expected) != 32:
        raise MalformedError(f"{what}: the secret that decrypts it has a wrong size")
    return DecryptingReader(source, key, nonce, expected, what)


class DecryptingReader:
    """A decrypted layer. Its last piece waits until all of it has proved genuine.

    Whoever writes while reading cannot finish a forgery; what came before the last piece was not
    yet proved. Not for two threads at once.
    """

    def __init__(
        self, source: Reader, key: bytes, nonce: bytes, expected: bytes, what: str
    ) -> None:
        self._source = source
        self._cipher = _Counter(key, nonce)
        self._hmac = hmac.new(key, digestmod="sha256")
        self._expected = expected
        self._what = what
        self._piece, self._next = new_buffer(), new_buffer()
        self._ready = memoryview(b"")
        self._waiting = memoryview(b"")
        self._ended = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end.

        Raises:
            IntegrityError: these are not the bytes that were encrypted.
        """
        while not self._ready and not self._ended:
            self._advance()
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left; raises as ``readinto`` does."""
        return _read(self, size)

    def _advance(self) -> None:
        """Decrypt the piece that waits, once there is another behind it or the end."""
        self._piece, self._next = self._next, self._piece
        count = self._source.readinto(self._next)
        self._hmac.update(self._next[:count])
        if not count:
            if not hmac.compare_digest(self._hmac.digest(), self._expected):
                raise IntegrityError(f"{self._what}: not the bytes that were encrypted")
            self._ended = True
        self._ready = self._cipher.turn(self._waiting)
        self._waiting = self._next[:count]


class _Counter:
    """AES-256 in counter mode; encrypting and decrypting are the same."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._context = Cipher(algorithms.AES(key), modes.CTR(nonce)).encryptor()
        self._buffer = memoryview(bytearray(BUFFER_SIZE + _BLOCK - 1))

    def turn(self, data: memoryview) -> memoryview:
        """``data``, at most a buffer of it, en- or decrypted; valid until the next call."""
        return self._buffer[: self._context.update_into(data, self._buffer)]


def _read(reader: EncryptingReader | DecryptingReader, size: int) -> bytes:
    if size < 0:
        return b"".join(iter(lambda: _read(reader, BUFFER_SIZE), b""))
    buffer = bytearray(size)
    return bytes(buffer[: reader.readinto(memoryview(buffer))])


def _options(data: bytes, what: str) -> dict[str, object]:
    return strict.load_object(data, subject=f"{what}: its encryption", limit=_MAX_OPTIONS)


def _mapping(options: dict[str, object], what: str) -> dict[str, object]:
    found = options.get("cipheroptions") or {}
    if not isinstance(found, dict):
        raise MalformedError(f"{what}: its cipher's options are none")
    return found


def _bytes(value: object, name: str, what: str) -> bytes:
    if not isinstance(value, str) or len(value) > _MAX_OPTIONS:
        raise MalformedError(f"{what}: encrypted, but without {name}")
    try:
        return b64decode(value, validate=True)
    except ValueError:
        raise MalformedError(f"{what}: its {name} is not base64") from None


def _text(data: bytes) -> str:
    return b64encode(data).decode()
