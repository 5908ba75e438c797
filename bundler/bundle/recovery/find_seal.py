"""Find the seal of a damaged bundle: in its files, or in the copies that the recovery data has."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format import trust_chain
from bundler.bundle.format.files import bundle_paths, checksums
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY, parse_inventory
from bundler.bundle.format.signatures import sigstore_copy
from bundler.bundle.recovery import seal_copies
from bundler.errors import (
    BundlerError,
    DamagedBundleError,
    InvalidSignatureError,
    MalformedError,
    NotFoundError,
    TrustError,
    UnauthenticatedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.inventory.recovery_record import RecoveryRecord
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.oci.digest import Digest
    from bundler.trust.bundle_trust import BundleTrust

_INVENTORY = bundle_paths.INVENTORY
_MAX_COPIES = 16  # of seals, in the order of their numbers, the latest first


@dataclass(frozen=True, slots=True)
class Seal:
    """The seal of a bundle, whose parts belong together."""

    inventory: Inventory
    record: RecoveryRecord
    listed: Mapping[str, Digest]
    """The sha256 of each listed file, by path."""
    files: Mapping[str, bytes]
    """``bundle.json``, SHA256SUMS and those signatures that are valid or whose key is unknown."""
    copies: tuple[Mapping[str, bytes], ...]
    """The small files in the copies, not verified."""

    def find_small(self, path: str) -> bytes | None:
        """Return the bytes of a listed file from the copies; None if no copy has them."""
        return next(
            (copy[path] for copy in self.copies if self._matches(path, copy.get(path))), None
        )

    def _matches(self, path: str, data: bytes | None) -> bool:
        return data is not None and self.listed[path].matches(data)


def find_seal(
    bundle: BundleFiles, present: Iterable[str], trust: BundleTrust, *, allow_unsigned: bool
) -> Seal:
    """Find the seal of a bundle whose files have the paths ``present``.

    With ``allow_unsigned``, the seal beside the content is preferred, and no signature is required.

    Raises:
        UnauthenticatedError, TrustError: no inventory is signed as ``trust`` requires.
        DamagedBundleError: an inventory or SHA256SUMS is lost with all of its copies.
        NotFoundError: the bundle contains no recovery data.
    """
    present = list(present)
    copies = [seal_copies.read_tolerantly(bundle, path) for path in _find_copies(present)]
    outside = _read_outside(bundle, present)
    sources = [outside, *copies]
    errors: list[BundlerError] = []
    for raw in dict.fromkeys(source.get(_INVENTORY) for source in sources):
        if raw is None:
            continue
        try:
            signatures = _find_signatures(bundle, raw, sources, trust, allow_unsigned)
            inventory = parse_inventory(raw)
        except TrustError as error:
            errors.append(error if _is_inventory(raw) else _create_lost_error(bundle, _INVENTORY))
            continue
        except BundlerError:
            errors.append(_create_lost_error(bundle, _INVENTORY))
            continue
        if inventory.recovery is None:
            raise NotFoundError(
                f"{bundle.location}: the bundle has no recovery data",
                hint="copy the bundle again, or run the export again, which repairs it;"
                " next time, add recovery data with --recovery 5%",
            )
        expected = inventory.checksum_file
        for data in (source.get(bundle_paths.CHECKSUM_FILE) for source in sources):
            if data is not None and checksums.describe(data, expected.count) == expected:
                files = {
                    **signatures,
                    bundle_paths.CHECKSUM_FILE: data,
                    bundle_paths.INVENTORY: raw,
                }
                listed = checksums.parse(data)
                return Seal(inventory, inventory.recovery, listed, files, tuple(sources))
        errors.append(_create_lost_error(bundle, bundle_paths.CHECKSUM_FILE))
    raise min(errors, key=_rank, default=_create_lost_error(bundle, _INVENTORY))


def _is_inventory(raw: bytes) -> bool:
    with suppress(BundlerError):
        parse_inventory(raw)
        return True
    return False


def _rank(error: BundlerError) -> int:
    """Prefer the error about trust: it tells what the operator can do."""
    return 0 if isinstance(error, TrustError) else 1


def _create_lost_error(bundle: BundleFiles, name: str) -> DamagedBundleError:
    return DamagedBundleError(
        f"{bundle.location}: the bundle cannot be repaired",
        [f"{name}: damaged or missing, as are all of its copies"],
        hint="copy the bundle again, or run the export again",
    )


def _find_copies(present: Iterable[str]) -> list[str]:
    """Return the paths of the copies of seals, those of the latest bundle first."""
    found = [
        (-int(path.split("/")[1]), path)
        for path in present
        if bundle_paths.is_recovery(path) and path.endswith(".tar")
    ]
    return [path for _, path in sorted(found)[:_MAX_COPIES]]


def _read_outside(bundle: BundleFiles, present: Iterable[str]) -> dict[str, bytes]:
    """Read those small files of the seal beside the content that can be read."""
    files = {}
    for path in present:
        if path in (_INVENTORY, bundle_paths.CHECKSUM_FILE) or (bundle_paths.is_signature(path)):
            with suppress(BundlerError):
                files[path] = bundle.read(path, MAX_INVENTORY)
    return files


def _is_sigstore_copy(
    copy: bytes, raw: bytes, sources: Iterable[Mapping[str, bytes]], trust: BundleTrust
) -> bool:
    """Return whether ``copy`` repeats a signature in one of the sources."""
    for source in sources:
        signatures = {name: source[name] for name in filter(bundle_paths.is_signature, source)}
        with suppress(MalformedError):
            sigstore_copy.check(copy, raw, signatures, trust.keys)
            return True
    return False


def _find_signatures(
    bundle: BundleFiles,
    raw: bytes,
    sources: Iterable[Mapping[str, bytes]],
    trust: BundleTrust,
    allow_unsigned: bool,
) -> dict[str, bytes]:
    """Return the signatures of ``raw`` by name; of a trusted key, only one that verifies.

    Raises:
        TrustError: they do not suffice, and unsigned bundles are not allowed.
    """
    with suppress(BundlerError):  # an import applies newer trust files, and reports their damage
        trust = trust.follow(partial(trust_chain.read_chain, bundle))
    keys = {bundle_paths.format_signature_name(key.id): key for key in trust.keys}
    found: dict[str, bytes] = {}
    signers = []
    for source in sources:
        if source.get(_INVENTORY, raw) != raw:
            continue
        for name in filter(bundle_paths.is_signature, source):
            if name in found:
                continue
            if (key := keys.get(name)) is not None:
                try:
                    key.verify(source[name], raw)
                except InvalidSignatureError:
                    continue
                signers.append(key)
            elif name == bundle_paths.SIGSTORE_BUNDLE and not _is_sigstore_copy(
                source[name], raw, sources, trust
            ):
                continue
            found[name] = source[name]
    try:
        signed_by = map(bundle_paths.parse_signature_name, found)
        trust.check_signers(tuple(signers), list(filter(None, signed_by)))
    except UnauthenticatedError:
        if not allow_unsigned:
            raise
    return found
