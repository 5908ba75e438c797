"""Signatures on a bundle: over the exact bytes of ``bundle.json``, one file for each signer.

A signature's file is named after its key, so that it can be found; that name is a hint. Only keys
that the caller gives are ever trusted, and a bundle brings none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.format import checksums, inventory
from bundler.bundle.format import directory as layout
from bundler.content.files.file_lock import lock
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    DamagedBundleError,
    InvalidSignatureError,
    LimitError,
    NotFoundError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import Inventory
    from bundler.trust.keys import PrivateKey, PublicKey

MAX_SIGNATURES = 32
MAX_SIGNATURE = 64 * 1024


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """Who signed: proven for the keys that were given, hearsay for others."""

    signers: tuple[PublicKey, ...]
    """The given keys whose signature verified; at least one."""
    unknown: tuple[str, ...]
    """File names of signatures by keys that were not given; they count for nothing."""


def sign(raw: bytes, keys: Sequence[PrivateKey]) -> dict[str, bytes]:
    """A signature over ``raw`` by each key, by its file's name."""
    return {layout.format_signature_name(key.public.id): key.sign(raw) for key in keys}


def authenticate(
    raw: bytes, signatures: Mapping[str, bytes], keys: Sequence[PublicKey]
) -> SignatureCheck:
    """Decide whether ``raw`` was signed by one of ``keys``.

    Args:
        raw: the bytes of ``bundle.json``, not yet parsed.
        signatures: each signature's bytes by its file's name.
        keys: the keys to trust.

    Raises:
        InvalidSignatureError: a signature named after a given key does not verify, whatever the
            others do.
        UnauthenticatedError: there is none by a given key.
    """
    signers: list[PublicKey] = []
    unknown: list[str] = []
    for name, signature in sorted(signatures.items()):
        named = [key for key in keys if layout.format_signature_name(key.id) == name]
        if not named:
            unknown.append(name)
            continue
        for key in named:
            _verify(key, signature, raw, name)
        signers += [key for key in named if key not in signers]
    if not signers:
        raise _create_refusal(unknown, keys)
    return SignatureCheck(tuple(signers), tuple(unknown))


def read_signatures(bundle: Path) -> dict[str, bytes]:
    """Every signature in the bundle, by its file's name.

    Raises:
        LimitError: more of them, or larger ones, than allowed.
        NotFoundError, MalformedError, MediumError: one cannot be read.
    """
    with Directory.open(bundle) as directory:
        names = [name for name in directory.list_names() if layout.parse_signature_name(name)]
    if len(names) > MAX_SIGNATURES:
        raise LimitError(f"{bundle}: {len(names)} signatures, more than {MAX_SIGNATURES}")
    return {name: layout.read_file(bundle, name, MAX_SIGNATURE) for name in names}


def read_inventory(bundle: Path) -> tuple[bytes, Inventory]:
    """The bytes of ``bundle.json`` and what they say; **not** authenticated.

    Raises:
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: as ``inventory.parse``.
    """
    raw = read_raw_inventory(bundle)
    return raw, inventory.parse(raw)


def read_raw_inventory(bundle: Path) -> bytes:
    """The bytes of ``bundle.json``, whatever they say.

    Raises:
        NotFoundError: there is no such directory, or no finished bundle in it.
        MalformedError, LimitError, MediumError: it cannot be read.
    """
    try:
        return layout.read_file(bundle, layout.INVENTORY, inventory.MAX_INVENTORY)
    except NotFoundError:
        if not bundle.is_dir():
            raise NotFoundError(f"{bundle}: there is no such directory") from None
        raise NotFoundError(
            f"{bundle}: holds no finished bundle: {layout.INVENTORY} is missing",
            hint="name a bundle's directory; if its export or its copy broke off, run that again",
        ) from None


def write_signatures(bundle: Path, raw: bytes, keys: Sequence[PrivateKey]) -> list[str]:
    """Sign ``raw`` with each key and write the signatures durably; their file names.

    Raises:
        MediumError: one cannot be written.
    """
    signatures = sign(raw, keys)
    for name, signature in signatures.items():
        layout.write_file(bundle, name, signature)
    return list(signatures)


def sign_bundle(bundle: Path, keys: Sequence[PrivateKey]) -> list[str]:
    """Add a signature by each key to a bundle that was finished earlier; their file names.

    Before that, ``bundle.json`` must parse, and SHA256SUMS be the one that it names. The files
    themselves are not read.

    Raises:
        NotFoundError: the directory holds no finished bundle.
        DamagedBundleError: SHA256SUMS is not the one that ``bundle.json`` names.
        LockedError: somebody is writing there.
    """
    with Directory.open(bundle) as directory:
        lock(directory)
        raw, contents = read_inventory(bundle)
        listed = layout.read_file(bundle, layout.SUMS, checksums.MAX_SUMS)
        if checksums.describe(listed, contents.sums.count) != contents.sums:
            raise DamagedBundleError(
                f"{bundle}: not signed, since it is damaged",
                [f"{layout.SUMS}: not the file that {layout.INVENTORY} names"],
                hint=f"airbundle verify {bundle}",
            )
        return write_signatures(bundle, raw, keys)


def _verify(key: PublicKey, signature: bytes, raw: bytes, name: str) -> None:
    try:
        key.verify(signature, raw)
    except InvalidSignatureError as error:
        raise InvalidSignatureError(
            f"{name}: {error.message}",
            hint="the inventory was changed after it was signed, or the signature is damaged: "
            "fetch the bundle again",
        ) from None


def _create_refusal(unknown: Sequence[str], keys: Sequence[PublicKey]) -> UnauthenticatedError:
    if not keys:
        return UnauthenticatedError(
            "no key was given, so nobody can tell who made this bundle",
            hint="give the signer's public key: --key FILE.pub",
        )
    given = ", ".join(key.id[:16] for key in keys)
    if not unknown:
        return UnauthenticatedError(
            f"the bundle is not signed; wanted: a signature by {given}",
            hint="have it signed: airbundle sign BUNDLE --key FILE.key",
        )
    signed = ", ".join(layout.parse_signature_name(name) or name for name in unknown)
    return UnauthenticatedError(
        f"signed by {signed}, but not by a given key ({given})",
        hint="compare the fingerprints, and give the right public key: --key FILE.pub",
    )
