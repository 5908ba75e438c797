"""Hash the files of a bundle in parallel, the largest first.

A file with several names (hard links, as in format ``dir``) is read once, and compared with the
expected digests of each name.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format import directory
from bundler.content.streams.reader import read_chunks
from bundler.copy import parallel
from bundler.errors import DigestMismatchError, IntegrityError, MediumError, NotFoundError
from bundler.events import BlobFinished, BlobProgressed, BlobStarted
from bundler.oci.digest import new_hasher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.directory import BundleFile
    from bundler.cancel import Cancellation
    from bundler.errors import BundlerError
    from bundler.events import Emit
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """The path of a file and its expected digests; at least one."""

    path: str
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class HashJob:
    """A file to read once, with all of its names; ``size`` in bytes."""

    size: int
    names: tuple[ExpectedFile, ...]


def create_jobs(
    expected: Mapping[str, tuple[Digest, ...]], found: Iterable[BundleFile]
) -> list[HashJob]:
    """Return a job for each file with a path in ``expected``, the largest first."""
    names_of_file: dict[object, list[BundleFile]] = {}
    for entry in found:
        if entry.path in expected:
            names_of_file.setdefault(entry.shared or entry.path, []).append(entry)
    grouped = [
        HashJob(
            entries[0].size, tuple(ExpectedFile(one.path, expected[one.path]) for one in entries)
        )
        for entries in names_of_file.values()
    ]
    return sorted(grouped, key=lambda content: -content.size)


def hash_all(
    bundle: Path, work: Sequence[HashJob], jobs: int | None, cancellation: Cancellation, emit: Emit
) -> dict[str, BundlerError]:
    """Hash the files of ``work``; return the errors of damaged files by path.

    Args:
        bundle: the directory.
        work: the files to read.
        jobs: the number of files to read in parallel; None: one per core.
        cancellation: ends the run.
        emit: receives the progress of each file as blob events.

    Raises:
        CancelledError: ``cancellation`` was requested.
    """
    workers = jobs or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers, thread_name_prefix="hash") as executor:
        tasks = [partial(_check_file, bundle, content, cancellation, emit) for content in work]
        faults = parallel.run_all(executor, tasks, cancellation)
    return {path: error for each in faults for path, error in each.items()}


def _check_file(
    bundle: Path, content: HashJob, cancellation: Cancellation, emit: Emit
) -> dict[str, BundlerError]:
    label = content.names[0].digests[0].text
    emit(BlobStarted(label, content.size, "check"))
    faults: dict[str, BundlerError] = {}
    try:
        got = _hash(bundle, content, cancellation, label, emit)
    except (IntegrityError, NotFoundError, MediumError) as error:
        faults = {name.path: error for name in content.names}
    else:
        for name in content.names:
            for digest in name.digests:
                if got[digest.algorithm] != digest.text:
                    faults[name.path] = DigestMismatchError(
                        name.path, expected=digest.text, got=got[digest.algorithm]
                    )
    emit(BlobFinished(label, failed=bool(faults)))
    return faults


def _hash(
    bundle: Path, content: HashJob, cancellation: Cancellation, label: str, emit: Emit
) -> dict[str, str]:
    """Return the digest of a file for each algorithm of its expected digests."""
    algorithms = {digest.algorithm for name in content.names for digest in name.digests}
    hashers = {algorithm: new_hasher(algorithm) for algorithm in algorithms}
    with directory.open_file(bundle, content.names[0].path) as stream:
        for chunk in read_chunks(stream, content.size):
            cancellation.check()
            for hasher in hashers.values():
                hasher.update(chunk)
            emit(BlobProgressed(label, len(chunk)))
    return {name: f"{name}:{hasher.hexdigest()}" for name, hasher in hashers.items()}
