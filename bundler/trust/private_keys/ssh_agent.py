"""Sign with an ECDSA key on P-256 that an ssh-agent holds.

A signature of the type ``ecdsa-sha2-nistp256`` is an ordinary ECDSA signature over the SHA-256 of
the data, in another encoding. Keys on security tokens (``sk-…``) sign additional data, so they are
not supported.

https://www.rfc-editor.org/rfc/rfc5656.html#section-3.1.2
https://datatracker.ietf.org/doc/html/draft-miller-ssh-agent
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bundler.errors import ConfigError, SignerError
from bundler.trust import keys
from bundler.trust.private_keys.signers import check_signature

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.trust.keys import PublicKey

KEY_TYPE = b"ecdsa-sha2-nistp256"
MAX_MESSAGE = 256 * 1024
"""Maximum size in bytes of a message, as in OpenSSH's agent."""
TIMEOUT = 120.0  # seconds; the agent may ask a person for confirmation

_SIGN_REQUEST = 13
_SIGN_RESPONSE = 14
_INTERVAL = 0.1  # seconds between checks of the cancellation
_NAME = "ssh-agent"


@dataclass(frozen=True, slots=True)
class AgentSigner:
    """A key of an ssh-agent."""

    public: PublicKey
    blob: bytes = field(repr=False)
    """The public key in the encoding of SSH."""
    socket_path: str
    cancellation: Cancellation = field(repr=False, compare=False)
    timeout: float = TIMEOUT

    def sign(self, data: bytes) -> bytes:
        """Request a signature from the agent, and return it in DER.

        Raises:
            SignerError: the agent cannot be reached, has no such key, refuses, or returns another
                signature; or ``data`` is too large for an agent.
            CancelledError: the run is cancelled.
        """
        body = _string(self.blob) + _string(data) + struct.pack(">I", 0)
        if len(body) + 5 > MAX_MESSAGE:
            raise SignerError(
                _NAME,
                f"too much data for an agent (expected at most {MAX_MESSAGE:,} bytes,"
                f" got {len(data):,})",
                cause="size",
                hint="sign with a key file or a command",
            )
        kind, response = self._exchange(bytes([_SIGN_REQUEST]) + body)
        if kind != _SIGN_RESPONSE:
            raise SignerError(
                _NAME,
                f"has no key {self.public.id[:16]}, or refuses to sign with it",
                cause="refused",
                hint="list the keys of the agent: ssh-add -l",
            )
        try:
            (signature,) = _parse_strings(response, 1)
            key_type, numbers = _parse_strings(signature, 2)
            if key_type != KEY_TYPE:
                raise ValueError(key_type)  # noqa: TRY301 - reported below
            r, s = (int.from_bytes(number) for number in _parse_strings(numbers, 2))
            return check_signature(self.public, encode_dss_signature(r, s), data, _NAME)
        except (ValueError, struct.error):
            raise SignerError(_NAME, "malformed signature", cause="signature") from None

    def _exchange(self, message: bytes) -> tuple[int, bytes]:
        """Send a message; return the type and the content of the response."""
        deadline = time.monotonic() + self.timeout
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_INTERVAL)
                connection.connect(self.socket_path)
                unsent = memoryview(_string(message))
                while unsent:
                    self._check(deadline)
                    with suppress(TimeoutError):
                        unsent = unsent[connection.send(unsent) :]
                (size,) = struct.unpack(">I", self._receive(connection, 4, deadline))
                if not 0 < size <= MAX_MESSAGE:
                    raise SignerError(_NAME, f"response of {size:,} bytes", cause="agent")
                response = self._receive(connection, size, deadline)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SignerError(
                _NAME,
                f"no response: {reason}",
                cause="agent",
                hint="start the agent, and set SSH_AUTH_SOCK",
            ) from None
        return response[0], response[1:]

    def _receive(self, connection: socket.socket, size: int, deadline: float) -> bytes:
        received = b""
        while len(received) < size:
            self._check(deadline)
            with suppress(TimeoutError):
                chunk = connection.recv(size - len(received))
                if not chunk:
                    raise ConnectionError("the connection was closed")
                received += chunk
        return received

    def _check(self, deadline: float) -> None:
        self.cancellation.check()
        if time.monotonic() > deadline:
            raise SignerError(_NAME, f"no response within {self.timeout:g} seconds", cause="agent")


def read_public_key(path: Path) -> PublicKey:
    """Read a public key in the format of OpenSSH, or as SubjectPublicKeyInfo in PEM.

    Raises:
        NotFoundError: the file does not exist.
        ConfigError: it is not a public ECDSA key on P-256.
    """
    text = keys.read_key_file(path)
    if b"-----BEGIN" not in text:
        try:
            loaded = serialization.load_ssh_public_key(text)
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigError(f"{path}: not a public key of OpenSSH", path=str(path)) from None
        text = loaded.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    public = keys.parse_public_key(text, str(path))
    if public.algorithm != "ecdsa-p256":
        raise ConfigError(
            f"{path}: {public.algorithm} (expected an ECDSA key on P-256)",
            path=str(path),
            hint="create one: ssh-keygen -t ecdsa -b 256",
        )
    return public


def encode_public_key(public: PublicKey) -> bytes:
    """Return an ECDSA key on P-256 in the encoding of SSH (RFC 5656, section 3.1)."""
    loaded = serialization.load_pem_public_key(public.to_pem())
    assert isinstance(loaded, ec.EllipticCurvePublicKey)  # noqa: S101 - see read_public_key
    point = loaded.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return _string(KEY_TYPE) + _string(b"nistp256") + _string(point)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _parse_strings(data: bytes, count: int) -> list[bytes]:
    """Split ``data`` into exactly ``count`` strings with their lengths before them."""
    strings, rest = [], data
    for _ in range(count):
        (size,) = struct.unpack_from(">I", rest)
        string, rest = rest[4 : 4 + size], rest[4 + size :]
        if len(string) != size:
            raise ValueError(size)
        strings.append(string)
    if rest:
        raise ValueError(rest)
    return strings
