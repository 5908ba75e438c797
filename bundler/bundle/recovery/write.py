"""Write the recovery data of a bundle, before its inventory is written, which contains its record.

The first copies of the small files are stored before the recovery slices, and the second ones after
them, so that a damaged stretch of the medium that the slices can repair does not contain both.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from bundler.bundle.format import trust_chain
from bundler.bundle.format.files import bundle_paths, checksums
from bundler.bundle.format.inventory.inventory import ChecksumFile
from bundler.bundle.format.inventory.recovery_record import RecoveryRecord
from bundler.bundle.recovery import seal_copies
from bundler.bundle.recovery.content import (
    ProtectedFile,
    find_digest,
    find_paths,
    render_files,
)
from bundler.bundle.recovery.encode import Encoding
from bundler.bundle.recovery.geometry import DIGEST_SIZE, LABEL, Geometry
from bundler.content.files import atomic_write
from bundler.content.files.atomic_write import PartFile
from bundler.content.streams import read_chunks
from bundler.events import (
    BlobFinished,
    BlobStarted,
    BlobTotal,
    Completed,
    Planned,
    TransferTotals,
)
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.content.files.safe_directory import Directory
    from bundler.copy.engine import EngineOptions
    from bundler.trust.bundle_trust import SignedDocument

MAX_SMALL = 16 * 1024 * 1024
"""Maximum size in bytes of a file that is not content, as of SHA256SUMS."""


class RecoveryWriter:
    """Writer of the recovery data of one bundle: first the slices, then the copies of the seal.

    As a context manager, it closes its files, and removes those that are unfinished. ``number`` is
    the serial of the bundle.
    """

    def __init__(self, bundle: Directory, number: int) -> None:
        with bundle.enter(bundle_paths.RECOVERY, create=True) as parent:
            parent.remove_tree(str(number))
            self._folder = parent.enter(str(number), create=True)
            atomic_write.sync_directory(parent)
        atomic_write.sync_directory(bundle)
        self._bundle = bundle
        self._number = number
        self._stack = ExitStack()
        self._stack.callback(self._folder.close)

    def protect(
        self,
        contents: Inventory,
        sizes: Mapping[str, int],
        small: Mapping[str, bytes],
        percent: int,
        engine: EngineOptions,
    ) -> Inventory:
        """Write the recovery slices of a bundle, and return its inventory with their record.

        Args:
            contents: the inventory without the record.
            sizes: the sizes of the files of the bundle that are written already, by path.
            small: the other files that are listed, and SHA256SUMS.
            percent: the size of the recovery data.
            engine: receives the progress, and may request cancellation.

        Raises:
            NotFoundError, MalformedError, MediumError: a file cannot be read.
            NoSpaceError, MediumError: the recovery data cannot be written.
            CancelledError: cancellation was requested.
        """
        listed = checksums.parse(small[bundle_paths.CHECKSUM_FILE])
        written = {path: listed[path] for path in sizes}
        files = [
            ProtectedFile(digest, sizes[path], path) for digest, path in find_paths(written).items()
        ]
        self._small = dict(small)
        for path, sha256 in written.items():
            if find_digest(path, sha256) is None:
                self._small[path] = self._bundle.read(*path.split("/"), limit=MAX_SMALL)
        seal_size = sum(map(len, self._small.values())) + len(contents.to_bytes())
        record = self._write_slices(files, percent, engine, seal_size)
        return replace(contents, recovery=record)

    def _write_slices(
        self, files: Sequence[ProtectedFile], percent: int, engine: EngineOptions, seal_size: int
    ) -> RecoveryRecord:
        geometry = Geometry.choose(sum(file.size for file in files), percent)
        listing = render_files(files)
        atomic_write.write_files(self._folder, {"files-1": listing})
        size = geometry.rows * geometry.width * DIGEST_SIZE
        digests = [self._create(size)]
        self._seal = self._create(seal_copies.compute_size(seal_size))
        parts = [self._create() for _ in range(geometry.recovery_slices)]
        digests.append(self._create())
        total = TransferTotals(checked=BlobTotal(1, geometry.total))
        engine.emit(Planned(total, "check"))
        engine.emit(BlobStarted(LABEL, geometry.total, "check"))
        encoding = Encoding(
            self._bundle,
            files,
            geometry,
            [part.fd for part in parts],
            [part.fd for part in digests],
        )
        encoding.run_in_processes(engine)
        hasher = new_hasher("sha256")
        with digests[0].open_reader() as reader:
            for chunk in read_chunks(reader):
                hasher.update(chunk)
        for number, part in enumerate(parts, 1):
            part.publish(f"slices-{number:03}", geometry.rows * geometry.slice_size)
        for number, part in enumerate(digests, 1):
            part.publish(f"digests-{number}", size)
        atomic_write.write_files(self._folder, {"files-2": listing})
        engine.emit(BlobFinished(LABEL))
        engine.emit(Completed(total))
        return RecoveryRecord(
            number=self._number,
            percent=percent,
            slice_size=geometry.slice_size,
            data_slices=geometry.data_slices,
            recovery_slices=geometry.recovery_slices,
            files=ChecksumFile(Digest.of(listing), len(listing), len(files)),
            digests=ChecksumFile(
                Digest(f"sha256:{hasher.hexdigest()}"), size, geometry.rows * geometry.width
            ),
        )

    def write_seal_copies(
        self, signed: Mapping[str, bytes], chain: Mapping[int, SignedDocument]
    ) -> None:
        """Write the copies of the small files, and make all names durable.

        ``protect`` has reserved the place of the first copy. ``signed`` are the inventory and its
        signatures, and ``chain`` the trust files.

        Raises:
            NoSpaceError, MediumError: they cannot be written.
        """
        trust = {f"{bundle_paths.TRUST}/{name}": raw for name, raw in trust_chain.list_files(chain)}
        data = seal_copies.render({**self._small, **signed, **trust})
        # A tar archive may end with any number of zeros, so the reserved place may be larger.
        self._seal.write(memoryview(data))
        self._seal.publish("seal-1.tar", self._seal.size)
        atomic_write.write_files(self._folder, {"seal-2.tar": data})

    def _create(self, size: int = 0) -> PartFile:
        """Create a file whose place on the medium, ``size`` bytes, is reserved now."""
        part = self._stack.enter_context(PartFile.create(self._folder, 0o644))
        if size:
            with suppress(OSError):  # if the medium is full, the next write reports it
                os.posix_fallocate(part.fd, 0, size)
        return part

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
