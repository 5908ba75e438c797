"""Receipts as files: write them with signatures, and verify them.

A signature of a receipt is a file beside it, ``RECEIPT.<16 hex of the key ID>.sig``, over its exact
bytes, in the form of a signature of a bundle.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import InvalidSignatureError, LimitError, UnauthenticatedError
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.trust.keys import PrivateKey, PublicKey

TYPE = "airbundle/receipt/v1"
MAX_RECEIPT = 64 * 1024 * 1024
_MAX_SIGNATURE = 64 * 1024
_KEY_DIGITS = 16


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """The bytes of a receipt, and its signatures."""

    raw: bytes
    signatures: dict[str, bytes]
    """The signatures by the ends of their file names."""

    @classmethod
    def create(cls, value: dict[str, Any], keys: Sequence[PrivateKey]) -> SignedReceipt:
        """Encode a receipt and sign it with each key."""
        raw = json.dumps(value, indent=2).encode() + b"\n"
        return cls(raw, {format_suffix(key.public): key.sign(raw) for key in keys})

    @property
    def digest(self) -> Digest:
        """The SHA-256 of the receipt."""
        return Digest.of(self.raw)

    def write(self, path: Path, *, mode: int = 0o644) -> None:
        """Write the receipt to ``path``, signatures first.

        Raises:
            NoSpaceError, MediumError: a file cannot be written.
        """
        with Directory.open(path.parent) as directory:
            for suffix, signature in self.signatures.items():
                atomic_write.write_bytes_in(directory, path.name + suffix, signature, mode=mode)
            atomic_write.write_bytes_in(directory, path.name, self.raw, mode=mode)

    def write_new(self, folder: Path, stem: str) -> Path:
        """Write the receipt to a new file in ``folder``, for its owner only; return its path.

        Raises:
            NoSpaceError, MediumError: a file cannot be written.
        """
        path = folder / f"{stem}.json"
        numbers = itertools.count(2)
        while path.exists():  # two imports may end in one second
            path = folder / f"{stem}-{next(numbers)}.json"
        self.write(path, mode=0o600)
        return path


def format_suffix(key: PublicKey) -> str:
    """Return the end of the name of a signature by ``key``."""
    return f".{key.id[:_KEY_DIGITS]}.sig"


def verify(path: Path, keys: Sequence[PublicKey]) -> tuple[Table, tuple[PublicKey, ...]]:
    """Verify that one of ``keys`` signed the receipt; return its content and the keys that did.

    Raises:
        InvalidSignatureError: a signature with the ID of a given key does not verify.
        UnauthenticatedError: none of the given keys signed it.
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError: it is not a receipt.
    """
    with RegularFile.open(path) as file:
        raw = _read(file, MAX_RECEIPT)
    signers = []
    for key in keys:
        signature_path = path.with_name(path.name + format_suffix(key))
        if not signature_path.exists():
            continue
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
        signers.append(key)
    if not signers:
        given = ", ".join(key.id[:_KEY_DIGITS] for key in keys)
        raise UnauthenticatedError(
            f"{path}: not signed by a given key ({given})",
            trusted=[key.id for key in keys],
            hint="copy its .sig file beside it, or compare the fingerprints of the keys",
        )
    table = Table.parse(raw, str(path), limit=MAX_RECEIPT)
    if table.value.get("_type") != TYPE:
        raise table.problem(f"not a receipt (expected {TYPE!r})")
    return table, tuple(signers)


def _read(file: RegularFile, limit: int) -> bytes:
    if file.size > limit:
        raise LimitError(f"{file.path}: too large (expected at most {limit:,} bytes)")
    return file.read(limit)
