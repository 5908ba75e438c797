"""Read a bundle again from its medium, and compare it with what was written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.format import read_back_record
from bundler.bundle.format.archive.part_names import read_list
from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.inventory.read_inventory import read_raw_inventory
from bundler.bundle.format.read_back_record import ReadBackRecord
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.verifying.verify import verify
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.content.files.uncached_file import ReadMethod, UncachedFile, drop_cache
from bundler.content.streams import read_chunks
from bundler.errors import UnreadableBundleError, count
from bundler.oci.digest import Digest, new_hasher
from bundler.trust.bundle_trust import NO_KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.media.filesystem import Medium
    from bundler.bundle.verifying.verification import Verification
    from bundler.copy.engine import EngineOptions
    from bundler.oci.descriptor import Descriptor


def read_back(
    bundle: Path, expected: Inventory, medium: Medium, engine: EngineOptions
) -> ReadBackRecord:
    """Read all files of a bundle from its medium, and record the result beside the inventory.

    Raises:
        UnreadableBundleError: the medium does not return the content that was written.
        MediumError: the record cannot be written.
        CancelledError: the export was cancelled.
    """
    verified = verify_written(bundle, medium, engine, uncached=True)
    if not verified.whole or verified.inventory != expected:
        lines = [str(finding) for finding in verified.findings]
        raise UnreadableBundleError(
            f"{bundle}: the medium does not return what was written:"
            f" {count(len(lines), 'finding')}",
            lines or [f"{bundle_paths.INVENTORY}: differs from what was written"],
            hint="use another medium: this one lost or changed data",
        )
    return record(bundle, verified)


def read_encrypted(
    archive: Path, written: Descriptor, inventory: bytes, engine: EngineOptions
) -> ReadBackRecord:
    """Read an encrypted archive from its medium, and compare it with what was ``written``.

    ``inventory`` is the content of its ``bundle.json``.

    Raises:
        UnreadableBundleError: the medium does not return the content that was written.
        CancelledError: the export was cancelled.
    """
    hasher = new_hasher("sha256")
    with UncachedFile(RegularFile.open(archive)) as file:
        method = file.method
        for chunk in read_chunks(file):
            engine.cancellation.check()
            hasher.update(chunk)
    got = f"sha256:{hasher.hexdigest()}"
    if got != written.digest.text:
        raise UnreadableBundleError(
            f"{archive}: the medium does not return what was written",
            [f"{archive.name}: digest mismatch (expected {written.digest}, got {got})"],
            hint="use another medium: this one lost or changed data",
        )
    return ReadBackRecord(Digest.of(inventory), datetime.now(UTC), method, 1, written.size)


def read_parts(archive: Path, inventory: bytes, engine: EngineOptions) -> ReadBackRecord:
    """Read the parts of an archive from their medium, and compare them with their list.

    ``inventory`` is the content of its ``bundle.json``.

    Raises:
        UnreadableBundleError: the medium does not return the content that was written.
        CancelledError: the export was cancelled.
    """
    lines, size = [], 0
    method: ReadMethod = "direct"
    parts = read_list(archive)
    for name, digest in parts.items():
        path = archive.with_name(name)
        hasher = new_hasher("sha256")
        with UncachedFile(RegularFile.open(path)) as file:
            method, size = file.method, size + file.size
            for chunk in read_chunks(file):
                engine.cancellation.check()
                hasher.update(chunk)
        got = f"sha256:{hasher.hexdigest()}"
        if got != digest.text:
            lines.append(f"{name}: digest mismatch (expected {digest}, got {got})")
    if lines:
        raise UnreadableBundleError(
            f"{archive}: the medium does not return what was written",
            lines,
            hint="use another medium: this one lost or changed data",
        )
    return ReadBackRecord(Digest.of(inventory), datetime.now(UTC), method, len(parts), size)


def verify_written(
    bundle: Path, medium: Medium, engine: EngineOptions, *, uncached: bool
) -> Verification:
    """Verify a bundle, with ``uncached`` as its medium returns it, and not as the cache does.

    Files on removable media are then read one at a time.

    Raises:
        MediumError, NotFoundError, LimitError, CancelledError: as ``verify``.
    """
    if uncached and bundle.is_file():
        with RegularFile.open(bundle) as archive:
            drop_cache(archive)
    elif uncached:
        with Directory.open(bundle) as directory:
            # Verify opens the small files at the top before it hashes the others.
            for name in directory.list_names():
                if directory.get_size(name) is not None:
                    with directory.open_file(name) as file:
                        drop_cache(file)
    return verify(
        bundle,
        NO_KEYS,
        uncached=uncached,
        threads=1 if uncached and medium.removable else None,
        cancellation=engine.cancellation,
        emit=engine.emit,
    )


def record(bundle: Path, verified: Verification) -> ReadBackRecord:
    """Write the record of a bundle that ``verify_written`` found to be whole.

    An archive contains no record; it is only returned.

    Raises:
        MediumError: it cannot be written.
    """
    if bundle.is_file():
        with open_files(bundle) as files:
            inventory = Digest.of(read_raw_inventory(files))
        moment = datetime.now(UTC)
        return ReadBackRecord(inventory, moment, "dropped", verified.files, verified.size)
    with Directory.open(bundle) as directory:
        with bundle_files.open_file(directory, bundle_paths.INVENTORY) as file:
            method = UncachedFile(file).method
        found = ReadBackRecord(
            inventory=Digest.of(directory.read(bundle_paths.INVENTORY, limit=MAX_INVENTORY)),
            time=datetime.now(UTC),
            method=method,
            files=verified.files,
            size=verified.size,
        )
        read_back_record.write(directory, found)
    return found
