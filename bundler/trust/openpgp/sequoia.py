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
from bundler.trust.openpgp.expected_messages import ExpectedMessages
from bundler.trust.openpgp.keyring import VerifiedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    _expected: ExpectedMessages = field(default_factory=ExpectedMessages, repr=False)

    @classmethod
    def open(cls, keys: Sequence[bytes], cancellation: Cancellation) -> Self:
        """Read the fingerprints of ``keys``; see ``keyring.open_keyring``."""
        if sum(map(len, keys)) > _MAX_KEYS:
            raise LimitError(f"public keys: too large (expected at most {_MAX_KEYS:,} bytes)")
        answer = _ask_child(keys, (), cancellation)
        return cls(answer.texts("fingerprints"), tuple(keys), cancellation)

    def expect(self, messages: Iterable[bytes], /) -> None:
        """Announce messages, as ``Keyring.expect`` describes."""
        self._expected.add(messages)

    def verify(self, message: bytes, /) -> VerifiedMessage:
        """Verify ``message``, as ``Keyring.verify`` describes."""
        expected = self._expected.find(message, self._verify_all)
        return expected or self._verify_all([message])[0]

    def _verify_all(self, messages: Sequence[bytes]) -> list[VerifiedMessage]:
        if any(len(message) > MAX_SIGNATURE for message in messages):
            raise LimitError(f"signature: too large (expected at most {MAX_SIGNATURE:,} bytes)")
        answer = _ask_child(self._keys, messages, self._cancellation)
        verified = []
        for result in answer.tables("results"):
            if reason := result.optional_text("problem"):
                raise InvalidSignatureError(f"Invalid GPG signature: {reason}")
            keys = result.text("signingKey"), result.text("primaryKey")
            verified.append(VerifiedMessage(result.base64("content"), *keys))
        return verified


def _ask_child(
    keys: Sequence[bytes], messages: Sequence[bytes], cancellation: Cancellation
) -> Table:
    """Read the fingerprints of the keys, and verify the messages, in the child process."""
    request = {
        "keys": [base64_strict.encode(data) for data in keys],
        "messages": [base64_strict.encode(message) for message in messages],
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
    results: list[dict[str, str]] = []
    for text in request["messages"]:
        try:
            results.append(_verify(base64_strict.decode(text, "message"), certificates))
        except RuntimeError:
            problem = "the message has no valid signature by a trusted key"
            results.append({"problem": problem})
        except ValueError as error:
            results.append({"problem": str(error)})
    fingerprints = [fingerprint.upper() for fingerprint in certificates]
    json.dump({"fingerprints": fingerprints, "results": results}, sys.stdout)


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
