"""Receipts as files: write them with signatures, and verify them.

A signature of a receipt is a file beside it, ``RECEIPT.<16 hex of the key ID>.sig``, over its exact
bytes, in the form of a signature of a bundle.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bundler.bundle.format.inventory import is_stream_name
from bundler.bundle.records.permissions import get_file_mode
from bundler.bundle.records.streams import IMPORT, RESTORE
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import (
    BundlerError,
    IntegrityError,
    InvalidSignatureError,
    LimitError,
    LostRecordsError,
    MissingFileError,
    NotFoundError,
    TooFewSignersError,
    UnauthenticatedError,
    count,
)
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps
from bundler.oci.json.table import Table
from bundler.trust.trust_files.role_check import find_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bundler.bundle.records.log import Entry
    from bundler.trust.keys import PublicKey
    from bundler.trust.private_keys.signers import Signer
    from bundler.trust.trust_files.trust_file import TrustedKey

TYPE = "airbundle/receipt/v1"
MAX_RECEIPT = 64 * 1024 * 1024
_MAX_SIGNATURE = 64 * 1024
_KEY_DIGITS = 16
_RESTORE_RECEIPT = "put the receipt back from a backup; the log is whole, and shows the import"
_RECEIPT_NAME = re.compile(r"(.+)-(\d{1,19})-(\d{4}-\d{2}-\d{2}T\d{6}Z)(-\d+)?\.json")
"""The name of a receipt: stream, serial, and the time at which the import ended."""
_SUFFIX = re.compile(r"\.[0-9a-f]{16}\.sig")


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """The bytes of a receipt, and its signatures."""

    raw: bytes
    signatures: dict[str, bytes]
    """The signatures by the ends of their file names."""
    failure: BundlerError | None = None
    """The error of the first signer that failed; the import is recorded nevertheless."""

    @classmethod
    def create(cls, value: dict[str, Any], signers: Sequence[Signer]) -> SignedReceipt:
        """Encode a receipt, and let each signer sign it."""
        raw = json.dumps(value, indent=2).encode() + b"\n"
        signatures: dict[str, bytes] = {}
        failure: BundlerError | None = None
        for signer in signers:
            try:
                signatures[format_suffix(signer.public)] = signer.sign(raw)
            except BundlerError as error:
                failure = failure or error
        return cls(raw, signatures, failure)

    @property
    def digest(self) -> Digest:
        """The SHA-256 of the receipt."""
        return Digest.of(self.raw)

    def write(self, path: Path, *, mode: int = 0o644) -> None:
        """Write the receipt to ``path``; signatures of a former receipt there are removed.

        Raises:
            NoSpaceError, MediumError: a file cannot be written.
        """
        with Directory.open(path.parent) as directory:
            for name in directory.list_names():
                if name.startswith(path.name) and _SUFFIX.fullmatch(name[len(path.name) :]):
                    directory.remove(name)
            for suffix, signature in self.signatures.items():
                atomic_write.write_bytes_in(directory, path.name + suffix, signature, mode=mode)
            atomic_write.write_bytes_in(directory, path.name, self.raw, mode=mode)

    def write_new(self, folder: Path, stem: str) -> Path:
        """Write the receipt to a new file in ``folder`` of the records; return its path.

        Raises:
            NoSpaceError, MediumError: a file cannot be written.
        """
        path = choose_path(folder, stem)
        with Directory.open(folder) as directory:
            mode = get_file_mode(directory)
        self.write(path, mode=mode)
        return path


def choose_path(folder: Path, stem: str) -> Path:
    """Return the path of a new receipt in ``folder``; two imports may end in one second."""
    path = folder / f"{stem}.json"
    numbers = itertools.count(2)
    while path.exists():
        path = folder / f"{stem}-{next(numbers)}.json"
    return path


def format_suffix(key: PublicKey) -> str:
    """Return the end of the name of a signature by ``key``."""
    return f".{key.id[:_KEY_DIGITS]}.sig"


def compare_with_log(folder: Path, entries: Iterable[Entry]) -> int:
    """Compare the receipts in ``folder`` with their digests in the log; return how many are absent.

    A receipt may be moved elsewhere, but not changed. One that the log does not contain shows that
    the log is older than it. A restored log contains none of those before its first entry.

    Raises:
        LostRecordsError: a receipt is not the one that its entry names, or has no entry.
        MediumError: one cannot be read.
    """
    absent, recorded_names, restored = 0, set(), ""
    for entry in entries:
        if entry.event == RESTORE:
            restored = entry.table.text("time").replace(":", "")
        if entry.event != IMPORT:
            continue
        recorded = entry.table.table("receipt")
        path, digest = folder / recorded.text("name"), recorded.digest("digest")
        recorded_names.add(path.name)
        try:
            with Directory.open(folder) as directory:
                actual = Digest.of(directory.read(path.name, limit=MAX_RECEIPT))
        except NotFoundError:
            absent += 1
            continue
        except (IntegrityError, LimitError) as error:
            problem = error.message_without(f"{path}: ")
            raise LostRecordsError(str(path), problem, hint=_RESTORE_RECEIPT) from None
        if actual != digest:
            problem = f"changed since its import (expected {digest}, got {actual})"
            raise LostRecordsError(str(path), problem, hint=_RESTORE_RECEIPT)
    for name in _list_names(folder):
        parts = _RECEIPT_NAME.fullmatch(name)
        if parts and parts[3] > restored and name not in recorded_names:
            raise LostRecordsError(
                str(folder / name),
                "not in the log",
                hint="the log and the state are older copies, or somebody put the receipt there:"
                " compare the serial with airbundle stream show, and the log with a head that is"
                " kept elsewhere; then move the receipt away",
            )
    return absent


class NamedReceipt(NamedTuple):
    """A receipt, by the name of its file."""

    serial: int
    ended: str
    """The time at which the import ended."""
    name: str


def find_highest(folder: Path) -> dict[str, NamedReceipt]:
    """Return the receipt of the highest serial of each stream.

    Imports that did not change the state of a stream do not count, as far as they can be read.

    Raises:
        MediumError: a file cannot be read.
    """
    found: dict[str, list[NamedReceipt]] = {}
    for name in _list_names(folder):
        parts = _RECEIPT_NAME.fullmatch(name)
        if parts and is_stream_name(parts[1]):
            stream, serial, ended, _ = parts.groups()
            found.setdefault(stream, []).append(NamedReceipt(int(serial), ended, name))
    highest = {
        stream: next((item for item in sorted(items, reverse=True) if _counts(folder, item)), None)
        for stream, items in found.items()
    }
    return {stream: item for stream, item in highest.items() if item is not None}


def _counts(folder: Path, receipt: NamedReceipt) -> bool:
    """Whether an import changed the state of its stream; True if that cannot be read."""
    try:
        with Directory.open(folder) as directory:
            raw = directory.read(receipt.name, limit=MAX_RECEIPT)
        table = Table.parse(raw, receipt.name, limit=MAX_RECEIPT)
        is_authenticated = table.table("trust").flag("authenticated")
        overrides = table.texts("overrides") if "overrides" in table else ()
    except (IntegrityError, LimitError, NotFoundError):
        return True
    return is_authenticated and not {"--key", "--trust"} & set(overrides)


def _list_names(folder: Path) -> list[str]:
    try:
        with Directory.open(folder) as directory:
            return sorted(directory.list_names())
    except (NotFoundError, MissingFileError):
        return []


def verify(
    path: Path, keys: Sequence[TrustedKey], threshold: int = 1
) -> tuple[Table, tuple[PublicKey, ...]]:
    """Verify that ``threshold`` of the keys signed a receipt, and could when the import ended.

    Returns the content of the receipt, and the keys that signed it.

    Raises:
        InvalidSignatureError: a signature with the ID of a given key does not verify.
        UnfitSignerError, TooFewSignersError, UnauthenticatedError: too few of the keys signed it.
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError: it is not a receipt.
    """
    with RegularFile.open(path) as file:
        raw = _read(file, MAX_RECEIPT)
    signers = [key for key in keys if _has_signed(key.public, path, raw)]
    if not signers:
        with Directory.open(path.parent) as folder:
            rests = [name.removeprefix(path.name) for name in folder.list_names()]
        signed_by = sorted(rest[1:-4] for rest in rests if _SUFFIX.fullmatch(rest))
        given = ", ".join(key.label for key in keys) or "none"
        state = f"signed by {', '.join(signed_by)}, but" if signed_by else "not signed, so"
        raise UnauthenticatedError(
            f"{path}: {state} not by a trusted key (trusted: {given})",
            trusted=[key.public.id for key in keys],
            signed_by=signed_by,
            hint="copy its .sig file beside it, or compare the fingerprints of the keys",
        )
    table = Table.parse(raw, str(path), limit=MAX_RECEIPT)
    if table.value.get("_type") != TYPE:
        raise table.problem(f"not a receipt (expected {TYPE!r})")
    stream, ended = table.text("stream"), timestamps.parse_utc(table.text("ended"), str(path))
    problems = {key.public: find_problem(key, stream, ended) for key in signers}
    fit = tuple(key for key, problem in problems.items() if problem is None)
    if len(fit) >= threshold:
        return table, fit
    for key, problem in problems.items():
        if problem is not None:
            hint = "the keys of the site, their roles and validity: airbundle trust show"
            raise problem.create_error(key.id[:_KEY_DIGITS], stream, hint, subject=str(path))
    raise TooFewSignersError(
        f"{path}: signed by {count(len(fit), 'trusted key')} (expected {threshold})",
        signers=[key.id for key in fit],
        required=threshold,
        hint="copy the other .sig files beside it",
    )


def _has_signed(key: PublicKey, path: Path, raw: bytes) -> bool:
    """Whether there is a signature by ``key``, which must verify."""
    signature_path = path.with_name(path.name + format_suffix(key))
    if not signature_path.exists():
        return False
    with RegularFile.open(signature_path) as file:
        signature = _read(file, _MAX_SIGNATURE)
    try:
        key.verify(signature, raw)
    except InvalidSignatureError as error:
        raise InvalidSignatureError(
            f"{signature_path.name}: {error.message}",
            key_id=key.id,
            hint="the receipt was changed after it was signed: get it again from its site",
        ) from None
    return True


def _read(file: RegularFile, limit: int) -> bytes:
    if file.size > limit:
        raise LimitError(f"{file.path}: too large (expected at most {limit:,} bytes)")
    return file.read(limit)
