"""Receipts as files: write them with signatures, and verify them.

A signature of a receipt is a file beside it, ``RECEIPT.<16 hex of the key ID>.sig``, over its exact
bytes, in the form of a signature of a bundle.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bundler.bundle.format.inventory.inventory import is_stream_name
from bundler.bundle.records.permissions import get_file_mode
from bundler.bundle.records.signed_file import (
    SignedFile,
    check_signers,
    find_signers,
    read_file,
)
from bundler.bundle.records.state.streams import IMPORT, RESTORE
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    IntegrityError,
    LimitError,
    LostRecordsError,
    MissingFileError,
    NotFoundError,
)
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bundler.bundle.records.log.log import Entry
    from bundler.trust.keys import PublicKey
    from bundler.trust.private_keys.signers import Signer
    from bundler.trust.trust_files.trust_file import TrustedKey

TYPE = "airbundle/receipt/v1"
MAX_RECEIPT = 64 * 1024 * 1024
_RESTORE_RECEIPT = "put the receipt back from a backup; the log is whole, and shows the import"
_RECEIPT_NAME = re.compile(r"(.+)-(\d{1,19})-(\d{4}-\d{2}-\d{2}T\d{6}Z)(-\d+)?\.json")
"""The name of a receipt: stream, serial, and the time at which the import ended."""


class SignedReceipt(SignedFile):
    """The bytes of a receipt, and its signatures."""

    __slots__ = ()

    @classmethod
    def create(cls, value: dict[str, Any], signers: Sequence[Signer]) -> SignedReceipt:
        """Encode a receipt, and let each signer sign it."""
        return cls.sign(json.dumps(value, indent=2).encode() + b"\n", signers)

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


def choose_path(folder: Path, stem: str, entries: Iterable[Entry] = ()) -> Path:
    """Return the path of a new receipt in ``folder``; two imports may end in one second.

    No receipt gets a name in ``entries`` of the log: one that was moved away, or whose import was
    interrupted before it was written, would seem to be changed.
    """
    recorded = {
        folder / entry.table.table("receipt").text("name")
        for entry in entries
        if entry.event == IMPORT
    }
    path = folder / f"{stem}.json"
    numbers = itertools.count(2)
    while path in recorded or path.exists():
        path = folder / f"{stem}-{next(numbers)}.json"
    return path


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


def check_logged(path: Path, raw: bytes, entries: Iterable[Entry]) -> None:
    """Check that ``raw``, which was read from ``path``, is the receipt of an import in the log.

    Raises:
        LostRecordsError: it is not, or it was changed since.
    """
    digest = Digest.of(raw)
    named = None
    for entry in entries:
        if entry.event != IMPORT:
            continue
        recorded = entry.table.table("receipt")
        if recorded.digest("digest") == digest:
            return
        if recorded.text("name") == path.name:
            named = recorded.digest("digest")
    if named is not None:
        problem = f"changed since its import (expected {named}, got {digest})"
        raise LostRecordsError(str(path), problem, hint=_RESTORE_RECEIPT)
    raise LostRecordsError(
        str(path),
        "not the receipt of an import in the log",
        hint="use a receipt from the records, unchanged, and specify the records of the site that"
        " imported the bundle: --records DIRECTORY",
    )


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
    raw = read_file(path, MAX_RECEIPT)
    signers = find_signers(path, raw, keys)
    table = Table.parse(raw, str(path), limit=MAX_RECEIPT)
    if table.value.get("_type") != TYPE:
        raise table.problem(f"not a receipt (expected {TYPE!r})")
    stream, ended = table.text("stream"), timestamps.parse_utc(table.text("ended"), str(path))
    return table, check_signers(path, signers, stream, ended, threshold)
