"""The library pysequoia, in a child process, which limits its memory and time.

The library accepts more than gpg: several signatures, and signatures that were made before the key
expired or was replaced. The checks here make up for that. It accepts less where an algorithm is
obsolete, such as SHA-1.

The child reads one JSON document on standard input and writes another.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from bundler.content.run_program import run_program
from bundler.errors import InvalidSignatureError, LimitError, UnsupportedError
from bundler.oci.json import base64_strict
from bundler.oci.json.table import Table
from bundler.oci.signature import MAX_SIGNATURE
from bundler.trust.openpgp.keyring import VerifiedMessage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.cancel import Cancellation

_TIMEOUT = 60
_MAX_MEMORY = 2 * 1024**3
_MAX_KEYS = 16 * 1024 * 1024
_MAX_OUTPUT = 2 * MAX_SIGNATURE


def is_installed() -> bool:
    """Return whether the library can be imported."""
    return importlib.util.find_spec("pysequoia") is not None


@dataclass(frozen=True, slots=True)
class SequoiaKeyring:
    """Public keys in memory."""

    fingerprints: tuple[str, ...]
    """The fingerprints of the primary keys, in upper case."""
    _keys: Sequence[bytes] = field(repr=False)
    _cancellation: Cancellation

    @classmethod
    def open(cls, keys: Sequence[bytes], cancellation: Cancellation) -> Self:
        """Read the fingerprints of ``keys``; see ``keyring.open_keyring``."""
        if sum(map(len, keys)) > _MAX_KEYS:
            raise LimitError(f"public keys: too large (expected at most {_MAX_KEYS:,} bytes)")
        answer = _ask_child(keys, None, cancellation)
        return cls(answer.texts("fingerprints"), tuple(keys), cancellation)

    def verify(self, message: bytes, /) -> VerifiedMessage:
        """Verify ``message``, as ``Keyring.verify`` describes."""
        if len(message) > MAX_SIGNATURE:
            raise LimitError(f"signature: too large (expected at most {MAX_SIGNATURE:,} bytes)")
        answer = _ask_child(self._keys, message, self._cancellation)
        if reason := answer.optional_text("problem"):
            raise InvalidSignatureError(f"Invalid GPG signature: {reason}")
        return VerifiedMessage(
            answer.base64("content"), answer.text("signingKey"), answer.text("primaryKey")
        )


def _ask_child(keys: Sequence[bytes], message: bytes | None, cancellation: Cancellation) -> Table:
    """Verify ``message`` in the child process; None: only read the fingerprints of the keys."""
    request = {
        "keys": [base64_strict.encode(data) for data in keys],
        "message": None if message is None else base64_strict.encode(message),
    }
    try:
        result = run_program(
            [sys.executable, "-P", "-m", __name__],
            json.dumps(request).encode(),
            cancellation,
            max_output=_MAX_OUTPUT,
            timeout=_TIMEOUT,
        )
    except OSError as error:
        raise UnsupportedError(f"{sys.executable}: cannot be started: {error.strerror}") from None
    if result.status != 0:
        raise InvalidSignatureError("Invalid GPG signature: it cannot be parsed")
    return Table.parse(result.output, "pysequoia", limit=_MAX_OUTPUT)


def main() -> None:
    """Answer the request on standard input, in the child process."""
    import pysequoia  # noqa: PLC0415 - optional

    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    request = json.load(sys.stdin)
    certificates: dict[str, Any] = {}
    for text in request["keys"]:
        with suppress(RuntimeError):  # as gpg does; the caller checks the fingerprints
            for item in pysequoia.Cert.split_bytes(base64_strict.decode(text, "key")):
                known = certificates.get(item.fingerprint)
                certificates[item.fingerprint] = item if known is None else known.merge(item)
    answer: dict[str, Any]
    if request["message"] is None:
        answer = {"fingerprints": [fingerprint.upper() for fingerprint in certificates]}
    else:
        try:
            answer = _verify(base64_strict.decode(request["message"], "message"), certificates)
        except RuntimeError:
            answer = {"problem": "the message has no valid signature by a trusted key"}
        except ValueError as error:
            answer = {"problem": str(error)}
    json.dump(answer, sys.stdout)


def _verify(message: bytes, certificates: Mapping[str, Any]) -> dict[str, str]:
    """Return the content and the fingerprints.

    Raises:
        RuntimeError: the library does not accept the message.
        ValueError: the message does not meet the additional conditions.
    """
    import pysequoia  # noqa: PLC0415 - optional
    from pysequoia.packet import PacketPile, SignatureType  # noqa: PLC0415 - as above

    packets = list(PacketPile.from_bytes(message))
    tags = [_get_name(packet.tag) for packet in packets]
    if tags[:1] == ["CompressedData"]:
        del tags[0]
    if tags not in (["OnePassSig", "Literal", "Signature"], ["Signature", "Literal"]):
        raise ValueError("the message does not consist of one content and one signature")
    types = [item.signature_type for item in packets if item.signature_type is not None]
    if types != [SignatureType.Binary]:
        raise ValueError("wrong class of signature (expected 00)")
    result = pysequoia.verify(bytes=message, store=lambda _: list(certificates.values()))
    if len(result.valid_sigs) != 1 or result.bytes is None:
        raise ValueError("the message does not consist of one content and one signature")
    (signer,) = result.valid_sigs
    certificate = certificates[signer.certificate]
    # The primary key must be valid now, as gpg requires, and not only when it signed.
    fingerprint = certificate.fingerprint.upper()
    if certificate.is_revoked:
        raise ValueError(f"the key {fingerprint} is revoked")
    if certificate.expiration is not None and certificate.expiration <= dt.datetime.now(dt.UTC):
        raise ValueError(f"the key {fingerprint} has expired")
    if signer.signing_key != signer.certificate:
        _check_subkey(certificate, signer.signing_key)
    return {
        "content": base64_strict.encode(result.bytes),
        "signingKey": signer.signing_key.upper(),
        "primaryKey": signer.certificate.upper(),
    }


def _check_subkey(certificate: Any, fingerprint: str) -> None:  # noqa: ANN401 - the library is optional
    """Check that a subkey is valid now, from the signatures that follow it in the certificate."""
    from pysequoia.packet import PacketPile  # noqa: PLC0415 - optional

    created, bindings, current = None, [], None
    for packet in PacketPile.from_bytes(bytes(certificate)):
        if packet.fingerprint is not None:
            current = packet.fingerprint
            created = packet.key_created if current == fingerprint else created
        elif current == fingerprint and packet.signature_type is not None:
            name = _get_name(packet.signature_type)
            if name == "SubkeyRevocation":
                raise ValueError(f"the key {fingerprint.upper()} is revoked")
            if name == "SubkeyBinding" and packet.signature_created is not None:
                bindings.append(packet)
    if created is None or not bindings:
        raise ValueError(f"the key {fingerprint.upper()} is not bound to its primary key")
    period = max(bindings, key=lambda item: item.signature_created).key_validity_period
    if period and created + period <= dt.datetime.now(dt.UTC):
        raise ValueError(f"the key {fingerprint.upper()} has expired")


def _get_name(value: object) -> str:
    """Return the name of a value of one of the library's enumerations."""
    return str(value).rpartition(".")[2]


if __name__ == "__main__":
    main()
