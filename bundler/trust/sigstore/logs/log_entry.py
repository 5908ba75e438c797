"""Entries of the transparency log Rekor: which signature, key and content an entry is about.

A valid entry proves nothing by itself, since anyone can record any signature: it must be bound to
the signature, the key and the content that are being verified.

https://github.com/sigstore/rekor/blob/main/types.md
https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2/entry.proto
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.errors import SigstoreSignatureError
from bundler.trust.sigstore import pem
from bundler.trust.sigstore.documents import parse_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.oci.json.table import Table

MAX_BODY = 1024 * 1024

_HASHES = {"sha256": 32, "sha384": 48, "sha512": 64}
_PROTO_HASHES = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """The statement of an entry: someone made ``signature`` with ``verifier``."""

    kind: str
    """The kind and the version of the entry, such as ``hashedrekord/0.0.1``."""
    covers: Literal["data", "payload"]
    """The hashed content: the signed data, or only the payload of a DSSE envelope."""
    algorithm: str
    """The name of the hash algorithm."""
    hash: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    verifier: bytes = field(repr=False)
    """The DER of the public key or of the certificate."""

    def check(self, verifier: bytes, signature: bytes, content: bytes) -> None:
        """Check that the entry is about this key or certificate, signature and content.

        Raises:
            SigstoreSignatureError: the entry is about something else.
        """
        differs = None
        if self.verifier != verifier:
            differs = "key or certificate"
        elif self.signature != signature:
            differs = "signature"
        elif self.hash != hashlib.new(self.algorithm, content).digest():
            differs = "content"
        if differs is not None:
            raise SigstoreSignatureError(
                f"the log entry is about another {differs}", problem="log", value=differs
            )


def parse_log_entry(body: bytes) -> LogEntry:
    """Parse the body of an entry.

    Raises:
        SigstoreSignatureError: the body is malformed, or of an unknown kind.
    """
    table = parse_document(body, "log entry", "log", limit=MAX_BODY)
    kind = f"{table.text('kind')}/{table.text('apiVersion')}"
    parse = _PARSERS.get(kind)
    if parse is None:
        expected = ", ".join(_PARSERS)
        raise SigstoreSignatureError(
            f"log entries of the kind {kind[:80]!r} are not supported (expected {expected})",
            problem="log",
            value=kind[:80],
        )
    return parse(kind, table.table("spec"))


def _parse_hashedrekord(kind: str, spec: Table) -> LogEntry:
    signature = spec.table("signature")
    algorithm, digest = _parse_hash(spec.table("data").table("hash"))
    verifier = _decode_pem(signature.table("publicKey"), "content")
    return LogEntry(kind, "data", algorithm, digest, _require(signature, "content"), verifier)


def _parse_dsse(kind: str, spec: Table) -> LogEntry:
    signature = _get_single(spec, "signatures")
    algorithm, digest = _parse_hash(spec.table("payloadHash"))
    verifier = _decode_pem(signature, "verifier")
    return LogEntry(kind, "payload", algorithm, digest, _require(signature, "signature"), verifier)


def _parse_intoto(kind: str, spec: Table) -> LogEntry:
    content = spec.table("content")
    signature = _get_single(content.table("envelope"), "signatures")
    algorithm, digest = _parse_hash(content.table("payloadHash"))
    try:  # the signature is encoded twice
        value = base64.b64decode(_require(signature, "sig"), validate=True)
    except ValueError:
        raise signature.problem("sig is not base64") from None
    verifier = _decode_pem(signature, "publicKey")
    return LogEntry(kind, "payload", algorithm, digest, value, verifier)


def _parse_hashedrekord_v2(kind: str, spec: Table) -> LogEntry:
    record = spec.table("hashedRekordV002")
    signature, data = record.table("signature"), record.table("data")
    verifier = signature.table("verifier")
    forms = [name for name in ("publicKey", "x509Certificate") if name in verifier]
    if len(forms) != 1:
        raise verifier.problem("expected either publicKey or x509Certificate")
    name = data.text("algorithm")
    if name not in _PROTO_HASHES:
        raise data.problem(f"unsupported hash algorithm {name[:40]!r}")
    return LogEntry(
        kind,
        "data",
        _PROTO_HASHES[name],
        _require(data, "digest"),
        _require(signature, "content"),
        _require(verifier.table(forms[0]), "rawBytes"),
    )


_PARSERS: dict[str, Callable[[str, Table], LogEntry]] = {
    "hashedrekord/0.0.1": _parse_hashedrekord,
    "hashedrekord/0.0.2": _parse_hashedrekord_v2,
    "dsse/0.0.1": _parse_dsse,
    "intoto/0.0.2": _parse_intoto,
}


def _parse_hash(table: Table) -> tuple[str, bytes]:
    algorithm, text = table.text("algorithm"), table.text("value")
    if algorithm not in _HASHES:
        raise table.problem(f"unsupported hash algorithm {algorithm[:40]!r}")
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != _HASHES[algorithm]:
        raise table.problem(f"value is not a {algorithm} hash")
    return algorithm, value


def _get_single(table: Table, key: str) -> Table:
    items = table.tables(key)
    if len(items) != 1:
        raise table.problem(f"wrong number of {key} (expected 1, got {len(items)})")
    return items[0]


def _require(table: Table, key: str) -> bytes:
    table.text(key)
    return table.base64(key)


def _decode_pem(table: Table, key: str) -> bytes:
    """Return the content of the single PEM block that a member encodes in base64."""
    try:
        return pem.decode_block(_require(table, key))
    except ValueError:
        raise table.problem(f"{key} is not a single PEM block") from None
