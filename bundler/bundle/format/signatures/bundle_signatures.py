"""Signatures of a bundle: separate files, each over the exact bytes of ``bundle.json``.

The file name contains the key ID, which is only a hint. ``authenticate`` verifies signatures.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths, checksums
from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.format.signatures import sigstore_copy
from bundler.bundle.format.writing import next_seal
from bundler.config import config_file
from bundler.content.files import atomic_write, part_files
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import hold
from bundler.errors import (
    BundlerError,
    DamagedBundleError,
    InvalidSignatureError,
    LimitError,
    MalformedError,
    MissingFileError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.trust.keys import PublicKey
    from bundler.trust.private_keys.signers import Signer

MAX_SIGNATURES = 32
MAX_SIGNATURE = 64 * 1024


def sign(raw: bytes, keys: Sequence[Signer]) -> dict[str, bytes]:
    """Sign ``raw`` with each key; return the signatures by file name.

    The signature by the first key on P-256 is also returned in the format of cosign, first: if
    writing is interrupted, no bundle with a valid signature lacks it.

    Raises:
        SignerError: a signer failed.
    """
    signed = {key.public: key.sign(raw) for key in keys}
    files = {}
    for public, signature in signed.items():
        if public.algorithm == "ecdsa-p256":
            files[bundle_paths.SIGSTORE_BUNDLE] = sigstore_copy.create(public, signature, raw)
            break
    for public, signature in signed.items():
        files[bundle_paths.format_signature_name(public.id)] = signature
    return files


def read_signatures(bundle: BundleFiles) -> dict[str, bytes]:
    """Read all signatures of a bundle, by file name.

    Raises:
        LimitError: too many signatures, or one that is too large.
        NotFoundError, MalformedError, MediumError: one cannot be read.
    """
    names = bundle.list_signatures()
    if len(names) > MAX_SIGNATURES:
        raise LimitError(
            f"{bundle.location}: too many signatures (expected at most {MAX_SIGNATURES},"
            f" got {len(names)})"
        )
    return {name: bundle.read(name, MAX_SIGNATURE) for name in names}


def read_signature_files(paths: Sequence[Path]) -> dict[str, bytes]:
    """Read the signatures that the user specified, by file name.

    Raises:
        MissingFileError: a file does not exist.
        ConfigError: it cannot be read, or is not a regular file.
        LimitError: it is too large for a signature.
    """
    signatures = {}
    for path in paths:
        if (data := config_file.read(path)) is None:
            raise MissingFileError(str(path))
        if len(data) > MAX_SIGNATURE:
            raise LimitError(
                f"{path}: too large for a signature (expected at most {MAX_SIGNATURE:,} bytes)"
            )
        signatures[str(path)] = data
    return signatures


def write_signatures(bundle: Path, raw: bytes, keys: Sequence[Signer]) -> list[str]:
    """Sign ``raw`` with each key, and write the signatures durably; return their file names.

    Existing signatures that verify are kept, and so is one in the format of cosign that repeats one
    of them: recovery data has copies of them.

    Raises:
        SignerError: a signer failed; nothing was written.
        MediumError: one cannot be written.
    """
    names = [bundle_paths.format_signature_name(key.public.id) for key in keys]
    with Directory.open(bundle) as directory:
        present = _read_present(directory)
        missing = [
            key
            for name, key in zip(names, keys, strict=True)
            if not _is_signature(present.get(name), key.public, raw)
        ]
        signatures = sign(raw, missing)
        copy = present.pop(bundle_paths.SIGSTORE_BUNDLE, None)
        if copy is not None:
            with suppress(MalformedError):
                public = [key.public for key in keys]
                sigstore_copy.check(copy, raw, present | signatures, public)
                signatures.pop(bundle_paths.SIGSTORE_BUNDLE, None)
        atomic_write.write_files(directory, signatures)
    return names


def _read_present(directory: Directory) -> dict[str, bytes]:
    """Return the existing signatures by name, as far as they can be read."""
    found = {}
    for name in filter(bundle_paths.is_signature, directory.list_names()):
        with suppress(BundlerError):
            found[name] = directory.read(name, limit=MAX_SIGNATURE)
    return found


def _is_signature(signature: bytes | None, key: PublicKey, raw: bytes) -> bool:
    if signature is not None:
        with suppress(InvalidSignatureError):
            key.verify(signature, raw)
            return True
    return False


def sign_bundle(bundle: Path, keys: Sequence[Signer]) -> list[str]:
    """Add a signature by each key to a complete bundle; return their file names.

    Raises:
        NotFoundError, DamagedBundleError: see ``read_for_signing``.
        LockedError: another process is writing to the directory.
        UnsupportedError: the bundle is an archive.
        SignerError: a signer failed.
        MediumError: a signature cannot be written.
    """
    if bundle.is_file():
        raise UnsupportedError(
            f"{bundle}: a signature cannot be added to an archive",
            hint="write it to a file with --output, and import with --signature FILE",
        )
    with Directory.open(bundle) as directory, hold(directory):
        next_seal.complete(directory)
        part_files.remove_stale_parts(directory)
        return write_signatures(bundle, read_for_signing(bundle), keys)


def sign_elsewhere(bundle: Path, key: Signer, output: Path) -> None:
    """Write a signature of a complete bundle to the file ``output``; ``bundle`` is not changed.

    Raises:
        NotFoundError, DamagedBundleError: see ``read_for_signing``.
        SignerError: the signer failed.
        MediumError: the signature cannot be written.
    """
    atomic_write.write_bytes(output, key.sign(read_for_signing(bundle)))


def read_for_signing(bundle: Path) -> bytes:
    """Read the bytes of ``bundle.json``, which a signature covers.

    They must parse, and SHA256SUMS must have the digest in them. Other files are not read.

    Raises:
        NotFoundError: the directory contains no complete bundle.
        DamagedBundleError: SHA256SUMS does not have the digest in ``bundle.json``.
    """
    with open_files(bundle) as files:
        raw, contents = read_inventory(files)
        listed = files.read(bundle_paths.CHECKSUM_FILE, checksums.MAX_CHECKSUM_FILE)
    if checksums.describe(listed, contents.checksum_file.count) != contents.checksum_file:
        raise DamagedBundleError(
            f"{bundle}: not signed, because it is damaged",
            [f"{bundle_paths.CHECKSUM_FILE}: digest differs from {bundle_paths.INVENTORY}"],
            hint=f"airbundle verify {bundle}",
        )
    return raw
