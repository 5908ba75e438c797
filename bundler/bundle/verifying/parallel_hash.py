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

from bundler.bundle.format.files import bundle_paths
from bundler.content.streams import read_chunks
from bundler.copy import parallel
from bundler.errors import DigestMismatchError, IntegrityError, MediumError, NotFoundError
from bundler.events import BlobFinished, BlobProgressed, BlobStarted
from bundler.oci.digest import new_hasher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bundler.bundle.format.files.bundle_files import BundleFile
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.cancel import Cancellation
    from bundler.errors import BundlerError
    from bundler.events import Emit
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class HashJob:
    """A file to read once; ``size`` is in bytes."""

    size: int
    expected: Mapping[str, tuple[Digest, ...]]
    """The expected digests, at least one, by each path of the file."""
    blob: tuple[str, Digest] | None = None
    """The path and digest of a blob whose parts are the paths of ``expected``, in order, read one
    after the other; None: they are the names of one file."""

    def is_met_by(self, verified: Mapping[str, Digest]) -> bool:
        """Whether ``verified`` contains all expected digests of all paths."""
        return self.blob is None and all(
            digests == (verified.get(path),) for path, digests in self.expected.items()
        )


def create_jobs(
    expected: Mapping[str, tuple[Digest, ...]],
    found: Iterable[BundleFile],
    joined: Mapping[str, tuple[BundleFile, ...]],
) -> list[HashJob]:
    """Return a job for each file with a path in ``expected``, the largest first.

    The parts of a blob in ``joined`` have one job.
    """
    files: dict[object, list[BundleFile]] = {}
    hash_jobs = []
    for path, parts in joined.items():
        digest = bundle_paths.parse_digest(path)
        if digest is not None and all(part.path in expected for part in parts):
            size = sum(part.size for part in parts)
            named = {part.path: expected[part.path] for part in parts}
            hash_jobs.append(HashJob(size, named, (path, digest)))
    in_parts = {path for job in hash_jobs for path in job.expected}
    for file in found:
        if file.path in expected and file.path not in in_parts:
            files.setdefault(file.shared or file.path, []).append(file)
    hash_jobs += [
        HashJob(names[0].size, {file.path: expected[file.path] for file in names})
        for names in files.values()
    ]
    return sorted(hash_jobs, key=lambda job: -job.size)


def hash_all(
    bundle: BundleFiles,
    hash_jobs: Sequence[HashJob],
    threads: int | None,
    cancellation: Cancellation,
    emit: Emit,
    *,
    uncached: bool = False,
    verified: Mapping[str, Digest] | None = None,
) -> dict[str, BundlerError]:
    """Hash the files of ``hash_jobs``; return the errors of damaged files by path.

    ``threads`` is the number of files to read in parallel; None: one per core. ``emit`` receives
    the progress of each file as blob events. With ``uncached``, files are read from the medium and
    not from the page cache. ``verified`` contains the digests of files that were read before, by
    path; they are not read again.

    Raises:
        CancelledError: ``cancellation`` was requested.
    """

    def check_file(job: HashJob) -> dict[str, BundlerError]:
        label = next(iter(job.expected.values()))[0].text
        for number, _ in enumerate(job.expected):  # the content of several names is read once
            emit(BlobStarted(label, 0 if number else job.size, "check"))
        whole = [] if job.blob is None else [new_hasher(job.blob[1].algorithm)]
        groups = [job.expected] if job.blob is None else [{p: d} for p, d in job.expected.items()]
        faults: dict[str, BundlerError] = {}
        if job.is_met_by(verified or {}):
            emit(BlobProgressed(label, job.size))
            groups = []
        for names in groups:
            algorithms = {digest.algorithm for digests in names.values() for digest in digests}
            hashers = {algorithm: new_hasher(algorithm) for algorithm in algorithms}
            try:
                with bundle.open(next(iter(names)), uncached=uncached) as file:
                    for chunk in read_chunks(file, job.size):
                        cancellation.check()
                        for hasher in (*hashers.values(), *whole):
                            hasher.update(chunk)
                        emit(BlobProgressed(label, len(chunk)))
            except (IntegrityError, NotFoundError, MediumError) as error:
                faults |= dict.fromkeys(names, error.without_traceback())
                continue
            for path, digests in names.items():
                for digest in digests:
                    got = f"{digest.algorithm}:{hashers[digest.algorithm].hexdigest()}"
                    if got != digest.text:
                        faults[path] = DigestMismatchError(path, expected=digest.text, got=got)
        if job.blob is not None and not faults:
            path, digest = job.blob
            got = f"{digest.algorithm}:{whole[0].hexdigest()}"
            if got != digest.text:
                faults[path] = DigestMismatchError(path, expected=digest.text, got=got)
        for name in job.expected:
            emit(BlobFinished(label, failed=name in faults))
        return faults

    workers = threads or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers, thread_name_prefix="hash") as executor:
        faults = parallel.run_all(
            executor, [partial(check_file, job) for job in hash_jobs], cancellation
        )
    return {path: error for each in faults for path, error in each.items()}
