"""Reader of ``trusted_root.json``: the logs and authorities of a sigstore instance.

A site carries the file across the gap, and trusts it as far as the way on which it came. Each log
and authority is trusted for a period.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from bundler.config import config_file
from bundler.errors import ConfigError, UnsupportedError
from bundler.trust.sigstore.certificates import MALFORMED, Authority
from bundler.trust.sigstore.keys import VerificationKey, accept_public_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.oci.json.table import Table

_MEDIA_TYPES = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)
_MAX_ENTRIES = 256


@dataclass(frozen=True, slots=True)
class Period:
    """A period, both ends included; None: it has no beginning or no end."""

    start: datetime | None = None
    end: datetime | None = None

    def __contains__(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (
            self.end is None or moment <= self.end
        )


@dataclass(frozen=True, slots=True)
class TrustedLog:
    """A transparency log, of signatures or of certificates."""

    key: VerificationKey
    ids: tuple[bytes, ...]
    """The IDs by which entries refer to the log."""
    host: str
    """The host of its URL; empty if unset."""
    period: Period


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """An authority that issues certificates to signers, or timestamps."""

    chain: tuple[x509.Certificate, ...] = field(repr=False)
    """The root is the last one."""
    period: Period
    uri: str = ""

    @property
    def authority(self) -> Authority:
        """The certificates that may complete a chain."""
        return Authority(self.chain[-1:], self.chain[:-1])


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """All logs and authorities of a sigstore instance, former ones included."""

    logs: tuple[TrustedLog, ...] = ()
    certificate_logs: tuple[TrustedLog, ...] = ()
    authorities: tuple[TrustedAuthority, ...] = ()
    timestamp_authorities: tuple[TrustedAuthority, ...] = ()

    def find_log(self, log_id: bytes) -> TrustedLog | None:
        """Return the log of signatures with an ID; None if it is not trusted."""
        return next((log for log in self.logs if log_id in log.ids), None)

    def find_certificate_log(self, log_id: bytes) -> TrustedLog | None:
        """Return the log of certificates with an ID; None if it is not trusted."""
        return next((log for log in self.certificate_logs if log_id in log.ids), None)


def read_trusted_root(path: Path) -> TrustedRoot:
    """Read ``trusted_root.json``.

    Raises:
        ConfigError: the file cannot be read, or is malformed.
    """
    return parse_trusted_root(config_file.read(path, required=True), path)


def parse_trusted_root(raw: bytes, path: Path) -> TrustedRoot:
    """Parse the content of ``trusted_root.json``; ``path`` is its name in messages.

    Logs whose keys this program does not support are left out, so that they are not trusted.

    Raises:
        ConfigError: the document is malformed.
    """
    table = config_file.parse_json(raw, path)
    if (media_type := table.text("mediaType")) not in _MEDIA_TYPES:
        raise table.problem(f"unknown mediaType {media_type[:80]!r}")
    logs, certificate_logs = (
        tuple(log for item in table.tables(name, _MAX_ENTRIES) for log in _parse_log(item))
        for name in ("tlogs", "ctlogs")
    )
    authorities, timestamp_authorities = (
        tuple(_parse_authority(item) for item in table.tables(name, _MAX_ENTRIES))
        for name in ("certificateAuthorities", "timestampAuthorities")
    )
    return TrustedRoot(logs, certificate_logs, authorities, timestamp_authorities)


def _parse_log(table: Table) -> Iterator[TrustedLog]:
    """Yield the log, unless its key is not supported."""
    public = table.table("publicKey")
    if table.text("hashAlgorithm") != "SHA2_256":
        return
    try:
        loaded = serialization.load_der_public_key(public.base64("rawBytes"))
        key = accept_public_key(loaded, public.subject)
    except (ConfigError, UnsupportedAlgorithm, UnsupportedError, ValueError):
        return
    ids = (table.table(name).base64("keyId") for name in ("logId", "checkpointKeyId"))
    url = table.optional_text("baseUrl") or ""
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        raise table.problem("baseUrl is not a URL") from None
    period = _parse_period(public.table("validFor"))
    yield TrustedLog(key, tuple(filter(None, ids)), host, period)


def _parse_authority(table: Table) -> TrustedAuthority:
    items = table.table("certChain").tables("certificates", _MAX_ENTRIES)
    if not items:
        raise table.problem("certChain is empty")
    try:
        chain = tuple(x509.load_der_x509_certificate(item.base64("rawBytes")) for item in items)
    except MALFORMED:
        raise table.problem("certChain has a malformed certificate") from None
    period = _parse_period(table.table("validFor"))
    return TrustedAuthority(chain, period, table.optional_text("uri") or "")


def _parse_period(table: Table) -> Period:
    return Period(_parse_time(table, "start"), _parse_time(table, "end"))


def _parse_time(table: Table, name: str) -> datetime | None:
    text = table.optional_text(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise table.problem(f"{name} is not a time") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
