"""Attestations of an export: signed statements about where an image of a bundle comes from.

A statement (in-toto) in an envelope (DSSE) is signed with a key of the bundle. It is stored as a
sigstore bundle, the only layer of an artifact that refers to the root of the image, so that an
import carries it like every referrer, and cosign 3 verifies it too.

docs/format.md, section 8
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bundler.bundle.format.inventory.inventory import Producer, is_stream_name
from bundler.bundle.format.inventory.parse_inventory import (
    check_printable,
    read_optional_text,
    read_text,
)
from bundler.copy.image import Graph, GraphManifest, Referrer
from bundler.errors import InvalidSignatureError, SigstoreSignatureError
from bundler.oci import manifest as manifests, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table
from bundler.ports import Node
from bundler.trust.sigstore import bundle as sigstore, dsse, keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from bundler.trust.keys import PublicKey
    from bundler.trust.private_keys.signers import Signer

TYPE = "urn:airbundle:export:v1"
"""The type of the predicate."""
PREDICATE_ANNOTATION = "dev.sigstore.bundle.predicateType"
"""The annotation of a manifest that repeats the type, as a hint for readers."""
EMPTY = b"{}"
"""The content of the config of an artifact without one."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_CREATED = "org.opencontainers.image.created"
_CONTENT = "dev.sigstore.bundle.content"


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """The source to which the name of an image was resolved."""

    transport: str
    digest: Digest
    """The digest of the root there, before platforms were removed."""
    reference: str | None = None
    """The reference in a registry; None: on the exporting computer, whose paths are not stated."""
    mirror: str | None = None
    """The mirror that served the image; None: the registry in ``reference``."""


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """The entry of a bundle manifest that requested an image."""

    file: str
    """The file, relative to the directory of the bundle manifest."""
    line: int
    digest: Digest
    """The digest of that file."""


@dataclass(frozen=True, slots=True)
class ExportStatement:
    """The origin of one image, as the exporting side states it. Times are in whole seconds."""

    reference: str
    """The full name of the image."""
    digest: Digest
    """The digest of its root in the bundle."""
    source: SourceRecord
    stream: str
    serial: int
    """The serial of the bundle that contained this attestation first."""
    exported: datetime
    tool: Producer
    entry: EntryRecord | None = None
    platforms: tuple[str, ...] = ()

    def describes_same(self, other: ExportStatement) -> bool:
        """Whether both state the same about the image; the export that stated it may differ."""
        same_run = replace(
            other,
            serial=self.serial,
            exported=self.exported,
            entry=self.entry,
            tool=self.tool,
        )
        return self == same_run

    def to_json(self) -> dict[str, Any]:
        """Return the predicate, without unset members."""
        source: dict[str, Any] = {
            "transport": self.source.transport,
            "reference": self.source.reference,
            "mirror": self.source.mirror,
            "digest": self.source.digest.text,
        }
        predicate: dict[str, Any] = {
            "bundle": {"stream": self.stream, "serial": self.serial},
            "exported": timestamps.format_utc(self.exported),
            "tool": {"name": self.tool.name, "version": self.tool.version},
            "source": {name: value for name, value in source.items() if value is not None},
        }
        if self.entry is not None:
            predicate["entry"] = {
                "file": self.entry.file,
                "line": self.entry.line,
                "digest": self.entry.digest.text,
            }
        if self.platforms:
            predicate["platforms"] = list(self.platforms)
        return predicate

    def to_bytes(self) -> bytes:
        """Return the statement, the payload that is signed."""
        subject = {self.digest.algorithm: self.digest.hex}
        statement = dsse.Statement(TYPE, (subject,), self.to_json(), (self.reference,))
        return statement.to_bytes()


def parse_statement(statement: dsse.Statement, digest: Digest) -> ExportStatement:
    """Parse a statement about the image with ``digest``, whose signature was verified.

    Unknown members are ignored.

    Raises:
        SigstoreSignatureError: it has another type or subject, or is malformed.
    """
    subject = "attestation"
    error = partial(SigstoreSignatureError, problem="payload")
    if statement.predicate_type != TYPE:
        raise error(f"{subject}: of the type {statement.predicate_type[:80]!r} (expected {TYPE})")
    if len(statement.subjects) != 1 or not statement.is_about(digest):
        raise SigstoreSignatureError(f"{subject}: about another image", problem="digest")
    table = Table(statement.predicate, subject, error)
    bundle, tool, source = (table.table(name) for name in ("bundle", "tool", "source"))
    stream = bundle.text("stream")
    if not is_stream_name(stream):
        raise bundle.problem(f"{stream[:80]!r} is not the name of a stream")
    entry = table.optional_table("entry")
    return ExportStatement(
        reference=check_printable(statement.names[0], table, "name"),
        digest=digest,
        source=SourceRecord(
            read_text(source, "transport"),
            source.digest("digest"),
            read_optional_text(source, "reference"),
            read_optional_text(source, "mirror"),
        ),
        stream=stream,
        serial=bundle.integer("serial"),
        exported=timestamps.parse_utc(table.text("exported"), subject, error=error),
        tool=Producer(read_text(tool, "name"), read_text(tool, "version")),
        entry=None
        if entry is None
        else EntryRecord(read_text(entry, "file"), entry.integer("line"), entry.digest("digest")),
        platforms=tuple(
            check_printable(text, table, "platforms") for text in table.texts("platforms")
        ),
    )


def may_contain(annotations: Mapping[str, str]) -> bool:
    """Return whether a sigstore bundle with these annotations may be an attestation."""
    return annotations.get(PREDICATE_ANNOTATION, TYPE) == TYPE


def verify(
    raw: bytes, digest: Digest, trusted: Iterable[PublicKey]
) -> tuple[PublicKey, ExportStatement]:
    """Verify that one of the keys signed ``raw``, an attestation of the image with ``digest``.

    The signature is verified before the statement is parsed. It covers the type of the payload, so
    no signature of another document passes as one of an attestation.

    Raises:
        SigstoreSignatureError: no trusted key signed it, or it is not such an attestation.
    """
    bundle = sigstore.parse_bundle(raw, "attestation")
    if bundle.envelope is None or bundle.certificates:
        raise SigstoreSignatureError(
            "attestation: expected a statement that is signed with a key", problem="payload"
        )
    for key in trusted:
        try:
            key.verify(bundle.signature, bundle.envelope.signed)
        except InvalidSignatureError:
            continue
        return key, parse_statement(dsse.parse_statement(bundle.envelope), digest)
    raise SigstoreSignatureError("attestation: not signed with a trusted key", problem="signature")


def sign(statement: ExportStatement, signer: Signer) -> bytes:
    """Sign a statement; return the sigstore bundle.

    Raises:
        SignerError: the signer failed.
        CancelledError: the run is cancelled.
    """
    payload = statement.to_bytes()
    signature = signer.sign(dsse.encode_pae(dsse.IN_TOTO, payload))
    key = keys.parse_public_key(signer.public.to_pem(), signer.public.id)
    return sigstore.create_key_bundle(key, dsse.Envelope(dsse.IN_TOTO, payload, signature))


def create_manifest(statement: ExportStatement, bundle: bytes, root: Descriptor) -> bytes:
    """Return the manifest of the artifact that refers to ``root``, in the form of cosign 3."""
    config = Descriptor(_EMPTY_TYPE, Digest.of(EMPTY), len(EMPTY))
    layer = Descriptor(sigstore.MEDIA_TYPE, Digest.of(bundle), len(bundle))
    subject = Descriptor(root.media_type, root.digest, root.size)
    return strict.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "artifactType": sigstore.MEDIA_TYPE,
            "config": config.to_json(),
            "layers": [layer.to_json()],
            "subject": subject.to_json(),
            "annotations": {
                _CREATED: timestamps.format_utc(statement.exported),
                _CONTENT: "dsse-envelope",
                PREDICATE_ANNOTATION: TYPE,
            },
        }
    )


def create_referrer(raw: bytes, subject: Digest) -> Referrer:
    """Return the artifact with the manifest ``raw`` as a referrer of ``subject``."""
    root = Descriptor(media_types.OCI_MANIFEST, Digest.of(raw), len(raw))
    children = manifests.list_children(manifests.parse(raw, root.media_type))
    blobs = tuple(Node.of(child, kind) for child, kind in children)
    return Referrer(Graph(root, (GraphManifest(root, raw, 0),), blobs, ()), subject, None)
