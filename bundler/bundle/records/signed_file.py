"""Signed files: a document, and beside it its signatures.

A signature is a file ``NAME.<16 hex of the key ID>.sig`` over the exact bytes of the file ``NAME``,
in the form of a signature of a bundle. Receipts and holdings files are signed in this way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import (
    BundlerError,
    InvalidSignatureError,
    LimitError,
    TooFewSignersError,
    UnauthenticatedError,
    count,
)
from bundler.oci.digest import Digest
from bundler.trust.trust_files.role_check import find_problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from bundler.trust.keys import PublicKey
    from bundler.trust.private_keys.signers import Signer
    from bundler.trust.trust_files.trust_file import TrustedKey

_MAX_SIGNATURE = 64 * 1024
_KEY_DIGITS = 16
_SUFFIX = re.compile(r"\.[0-9a-f]{16}\.sig")


@dataclass(frozen=True, slots=True)
class SignedFile:
    """The bytes of a document, and its signatures."""

    raw: bytes
    signatures: dict[str, bytes]
    """The signatures by the ends of their file names."""
    failure: BundlerError | None = None
    """The error of the first signer that failed."""

    @classmethod
    def sign(cls, raw: bytes, signers: Sequence[Signer]) -> Self:
        """Let each signer sign ``raw``; the failure of one does not prevent the others."""
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
        """The SHA-256 of the document."""
        return Digest.of(self.raw)

    def write(self, path: Path, *, mode: int = 0o644) -> None:
        """Write the document to ``path``; signatures of a former one there are removed.

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


def format_suffix(key: PublicKey) -> str:
    """Return the end of the name of a signature by ``key``."""
    return f".{key.id[:_KEY_DIGITS]}.sig"


def read_file(path: Path, limit: int) -> bytes:
    """Read a regular file of at most ``limit`` bytes.

    Raises:
        NotFoundError, MediumError: it cannot be read.
        LimitError: it is larger.
    """
    with RegularFile.open(path) as file:
        if file.size > limit:
            raise LimitError(f"{path}: too large (expected at most {limit:,} bytes)")
        return file.read(limit)


def find_signers(path: Path, raw: bytes, keys: Sequence[TrustedKey]) -> list[TrustedKey]:
    """Return those of ``keys`` that signed the file ``path`` with the bytes ``raw``.

    Raises:
        InvalidSignatureError: a signature with the ID of a given key does not verify.
        UnauthenticatedError: none of them signed it.
    """
    signers = [key for key in keys if _has_signed(key.public, path, raw)]
    if signers:
        return signers
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


def check_signers(
    path: Path, signers: Sequence[TrustedKey], stream: str, moment: datetime, threshold: int
) -> tuple[PublicKey, ...]:
    """Return those of ``signers`` that may sign for ``stream`` at ``moment``; ``threshold`` must.

    Raises:
        UnfitSignerError, TooFewSignersError: too few of them may.
    """
    problems = {key.public: find_problem(key, stream, moment) for key in signers}
    fit = tuple(key for key, problem in problems.items() if problem is None)
    if len(fit) >= threshold:
        return fit
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
    try:
        key.verify(read_file(signature_path, _MAX_SIGNATURE), raw)
    except InvalidSignatureError as error:
        raise InvalidSignatureError(
            f"{signature_path.name}: {error.message}",
            key_id=key.id,
            hint=f"{path.name} was changed after it was signed: get it again from its site",
        ) from None
    return True
