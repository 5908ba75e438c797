"""The trust file of a site: the keys that it trusts, their roles, and how many must sign.

A trust file has a version. The next version is accepted if enough keys with the role ``trust`` in
this one have signed it, and enough of those in the next one. A key is revoked by leaving it out.

Signatures cover the exact bytes of the file. They are verified before the file is parsed, except
those of the keys that only the file itself contains.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from bundler.errors import (
    BundlerError,
    InvalidSignatureError,
    TrustFileError,
    UnsignedTrustFileError,
    count,
    shortlist,
)
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table
from bundler.trust import keys as key_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from bundler.trust.bundle_trust import SignedDocument
    from bundler.trust.keys import PublicKey

Role = Literal["trust", "bundle", "receipt"]
ROLES: tuple[Role, ...] = get_args(Role)

TYPE = "airbundle/trust/v1"
MAX_TRUST_FILE = 1024 * 1024
MAX_KEYS = 256
MAX_STREAMS = 1000
MAX_VERSION = 999_999_999
WARNING_TIME = timedelta(days=30)
"""The time before the end of a validity from which on a warning is printed."""

_KEY_ID = re.compile(r"[0-9a-f]{64}")
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")
_MAX_TEXT = 200
_MEMBERS = ("_type", "version", "expires", "keys", "roles")
_KEY_MEMBERS = ("pem", "comment", "notBefore", "notAfter", "streams")


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key of a trust file, and the limits of its use."""

    public: PublicKey
    comment: str = ""
    not_before: datetime | None = None
    """The key signs nothing that was created earlier; None: no limit."""
    not_after: datetime | None = None
    """The key signs nothing that was created later; None: no limit."""
    streams: tuple[str, ...] | None = None
    """The streams whose bundles the key may sign; None: all."""

    @property
    def label(self) -> str:
        """The key for messages: the beginning of its ID, and its comment."""
        return f"{self.public.id[:16]} ({self.comment})" if self.comment else self.public.id[:16]

    def to_json(self) -> dict[str, Any]:
        """Return the members of the key in a trust file."""
        members: dict[str, Any] = {"pem": self.public.to_pem().decode("ascii")}
        if self.comment:
            members["comment"] = self.comment
        for name, moment in (("notBefore", self.not_before), ("notAfter", self.not_after)):
            if moment is not None:
                members[name] = timestamps.format_utc(moment)
        if self.streams is not None:
            members["streams"] = list(self.streams)
        return members


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """The keys with a role, by ID, and the number of them that must sign."""

    keys: tuple[str, ...]
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class TrustFile:
    """The content of a trust file."""

    version: int
    keys: Mapping[str, TrustedKey] = field(hash=False)
    """The keys by ID."""
    roles: Mapping[Role, RoleKeys] = field(hash=False)
    expires: datetime | None = None
    """None: never."""

    def get_keys(self, role: Role) -> dict[str, TrustedKey]:
        """Return the keys with a role, by ID."""
        entry = self.roles.get(role)
        return {} if entry is None else {key_id: self.keys[key_id] for key_id in entry.keys}

    def find_warnings(self, now: datetime) -> Iterator[str]:
        """Return a line for each validity that ends soon or has ended."""
        limits = {"the trust file": self.expires} | {
            f"key {key.label}": key.not_after for key in self.keys.values()
        }
        for subject, end in limits.items():
            if end is not None and end - now < WARNING_TIME:
                verb = "expired" if end < now else "expires"
                yield f"{subject} {verb} on {timestamps.format_date(end)}"

    def to_bytes(self) -> bytes:
        """Return the file in its canonical form."""
        document: dict[str, Any] = {
            "_type": TYPE,
            "version": self.version,
            "keys": {key_id: key.to_json() for key_id, key in self.keys.items()},
            "roles": {
                role: {"keys": sorted(entry.keys), "threshold": entry.threshold}
                for role, entry in self.roles.items()
            },
        }
        if self.expires is not None:
            document["expires"] = timestamps.format_utc(self.expires)
        return strict.dumps(document) + b"\n"


def compute_fingerprint(raw: bytes) -> str:
    """Return the SHA-256 of a trust file in groups of four digits, for visual comparison."""
    return format_fingerprint(hashlib.sha256(raw).hexdigest())


def format_fingerprint(digits: str) -> str:
    """Return a fingerprint in groups of four digits."""
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def parse_fingerprint(text: str) -> str:
    """Return the digits of a fingerprint that a person typed.

    Raises:
        ValueError: it has not 64 hexadecimal digits.
    """
    digits = "".join(text.lower().removeprefix("sha256:").replace(":", " ").split())
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise ValueError(text)
    return digits


def parse(raw: bytes, subject: str) -> TrustFile:
    """Parse a trust file strictly; its signatures are not verified.

    Raises:
        TrustFileError: it is not a valid trust file.
    """
    try:
        return _parse(raw, subject)
    except TrustFileError:
        raise
    except BundlerError as error:
        problem = error.message_without(f"{subject}: ")
        if raw.startswith(b"-----BEGIN "):
            problem = "it is a key or a certificate"
        raise TrustFileError(f"{subject}: not a trust file: {problem}", problem="format") from None


def _parse(raw: bytes, subject: str) -> TrustFile:
    parsed = Table.parse(raw, subject, limit=MAX_TRUST_FILE)
    table = Table(parsed.value, subject, partial(TrustFileError, problem="format"))
    if (kind := table.value.get("_type")) != TYPE:
        raise table.problem(f"not a trust file: _type is {str(kind)[:80]!r} (expected {TYPE!r})")
    table.refuse_unknown(_MEMBERS)
    version = table.integer("version")
    if not 1 <= version <= MAX_VERSION:
        raise table.problem(f"version is {version} (expected 1 to {MAX_VERSION:,})")
    stored = table.table("keys")
    if not 0 < len(stored.value) <= MAX_KEYS:
        raise stored.problem(f"{len(stored.value):,} keys (expected 1 to {MAX_KEYS})")
    for key_id in stored.value:
        if not _KEY_ID.fullmatch(key_id):
            raise stored.problem(f"{key_id[:80]!r} is not a key ID")
    keys = {key_id: _parse_key(stored.table(key_id), key_id) for key_id in stored.value}
    if len({key_id[:16] for key_id in keys}) < len(keys):
        raise stored.problem("two key IDs have the same first 16 digits")
    entries = table.table("roles")
    entries.refuse_unknown(ROLES)
    roles = {role: _parse_role(entries.table(role), keys) for role in ROLES if role in entries}
    if "trust" not in roles:
        raise entries.problem("trust is missing")
    used = {key_id for entry in roles.values() for key_id in entry.keys}
    for key_id in keys.keys() - used:
        raise stored.problem(f"key {key_id[:16]} has no role")
    return TrustFile(version, keys, roles, _parse_time(table, "expires"))


def _parse_key(table: Table, key_id: str) -> TrustedKey:
    table.refuse_unknown(_KEY_MEMBERS)
    public = key_files.parse_public_key(table.text("pem").encode(), table.subject)
    if public.id != key_id:
        raise table.problem(f"the ID of this key is {public.id}")
    comment = table.optional_text("comment") or ""
    if len(comment) > _MAX_TEXT or not comment.isprintable():
        raise table.problem(f"comment is not printable text of at most {_MAX_TEXT} characters")
    streams = table.texts("streams") if "streams" in table else None
    if streams is not None and not 0 < len(streams) <= MAX_STREAMS:
        raise table.problem(f"{len(streams):,} streams (expected 1 to {MAX_STREAMS:,})")
    for stream in streams or ():
        if not _STREAM.fullmatch(stream):
            raise table.problem(f"{stream[:80]!r} is not the name of a stream")
    start, end = _parse_time(table, "notBefore"), _parse_time(table, "notAfter")
    if start is not None and end is not None and end < start:
        raise table.problem("notAfter is before notBefore")
    return TrustedKey(public, comment, start, end, streams)


def _parse_role(table: Table, keys: Mapping[str, TrustedKey]) -> RoleKeys:
    table.refuse_unknown(("keys", "threshold"))
    names, threshold = table.texts("keys"), table.integer("threshold")
    for name in names:
        if name not in keys:
            raise table.problem(f"unknown key {name[:80]!r}")
    if len(set(names)) < len(names):
        raise table.problem("a key is listed twice")
    if not 1 <= threshold <= len(names):
        raise table.problem(
            f"threshold is {threshold} (expected 1 to {len(names)}, the number of keys)"
        )
    return RoleKeys(names, threshold)


def _parse_time(table: Table, name: str) -> datetime | None:
    if name not in table:
        return None
    return timestamps.parse_utc(table.text(name), table.subject, error=table.error)


def check_threshold(document: SignedDocument, content: TrustFile, subject: str) -> None:
    """Check that enough keys with the role ``trust`` in ``content`` signed ``document``.

    Raises:
        InvalidSignatureError: a signature by one of these keys does not verify.
        UnsignedTrustFileError: fewer keys than the threshold signed it.
    """
    known = content.get_keys("trust")
    signers = find_signers(document, (key.public for key in known.values()), subject)
    required = content.roles["trust"].threshold
    if len(signers) < required:
        others = sorted(set(document.signatures) - {key.id[:16] for key in signers})
        more = f"; signatures by {', '.join(others)} do not count" if others else ""
        raise UnsignedTrustFileError(
            f"{subject}: signed by {count(len(signers), 'key')} of version {content.version} with"
            f" the role trust (expected {required}){more}; not signed by"
            f" {shortlist([key.label for key in known.values() if key.public not in signers], 8)}",
            signers=[key.id for key in signers],
            required=required,
            hint="ask the holders of these keys to sign it (airbundle trust sign FILE), and copy"
            " their .sig files beside it",
        )


def find_signers(
    document: SignedDocument, keys: Iterable[PublicKey], subject: str
) -> tuple[PublicKey, ...]:
    """Return the keys of ``keys`` that signed ``document``, each once.

    Raises:
        InvalidSignatureError: a signature with the ID of one of them does not verify.
    """
    signers: dict[PublicKey, None] = {}
    for key in keys:
        signature = document.signatures.get(key.id[:16])
        if signature is None:
            continue
        try:
            key.verify(signature, document.raw)
        except InvalidSignatureError as error:
            raise InvalidSignatureError(f"{subject}: {error.message}", key_id=key.id) from None
        signers[key] = None
    return tuple(signers)


def parse_next(current: TrustFile, document: SignedDocument, subject: str) -> TrustFile:
    """Verify and parse the version of a trust file that follows ``current``.

    Raises:
        InvalidSignatureError, UnsignedTrustFileError: the thresholds of both versions are not met.
        TrustFileError: it is malformed, or has another version.
    """
    check_threshold(document, current, subject)
    content = parse(document.raw, subject)
    if content.version != current.version + 1:
        raise TrustFileError(
            f"{subject}: states version {content.version} (expected {current.version + 1})",
            problem="version",
            version=content.version,
        )
    check_threshold(document, content, subject)
    return content
