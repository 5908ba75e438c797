"""Calculate the recovery slices of a bundle, in several processes if there is much content.

The code keeps the lock of the interpreter while it calculates, so threads would not help. A process
gets a range of codewords, and the open files to which it writes at the offsets of these codewords.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bundler.bundle.recovery.code import Code
from bundler.bundle.recovery.content import ProtectedContent, ProtectedFile
from bundler.bundle.recovery.geometry import LABEL, STRIP, Geometry
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import write_all
from bundler.events import BlobProgressed
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.copy.engine import EngineOptions

_MIN_PARALLEL = 64 * 1024 * 1024  # bytes for which starting processes saves time
_MAIN = (
    "import sys; sys.path[:] = sys.argv[1:];from bundler.bundle.recovery.encode import main; main()"
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """The content to encode, and the open files to write."""

    bundle: Directory
    files: Sequence[ProtectedFile]
    geometry: Geometry
    slices: Sequence[int]
    """The descriptors of the files with the recovery slices of each position."""
    digests: Sequence[int]
    """The descriptors of the copies of the digests."""

    def run(self, rows: range, on_row: Callable[[], None]) -> None:
        """Encode the codewords ``rows``; ``on_row`` is called after each one.

        Raises:
            NotFoundError, MalformedError, MediumError: a file cannot be read.
            NoSpaceError, MediumError: the recovery data cannot be written.
        """
        geometry = self.geometry
        code = Code(geometry.data_slices, geometry.recovery_slices)
        size = geometry.slice_size
        with ProtectedContent(self.bundle, self.files) as content:
            for row in rows:
                hashers = [new_hasher("sha256") for _ in range(geometry.width)]
                for offset in range(0, size, STRIP):
                    length = min(STRIP, size - offset)
                    strips = [
                        content.read(geometry.offset(row, column) + offset, length)
                        for column in range(geometry.data_slices)
                    ]
                    recovery = code.encode(strips)
                    for hasher, strip in zip(hashers, strips + recovery, strict=True):
                        hasher.update(strip)
                    for fd, strip in zip(self.slices, recovery, strict=True):
                        self._write(fd, strip, row * size + offset)
                digests = b"".join(hasher.digest() for hasher in hashers)
                for fd in self.digests:
                    self._write(fd, digests, row * len(digests))
                on_row()

    def run_in_processes(self, engine: EngineOptions) -> None:
        """Encode all codewords, in one process per core if there is much content.

        Raises:
            CancelledError: cancellation was requested.
            BundlerError: as ``run``.
        """
        rows = self.geometry.rows
        size = self.geometry.data_slices * self.geometry.slice_size

        def report() -> None:
            engine.emit(BlobProgressed(LABEL, size))
            engine.cancellation.check()

        cores = min(len(os.sched_getaffinity(0)), rows)
        if self.geometry.total < _MIN_PARALLEL or cores == 1:
            return self.run(range(rows), report)
        ranges = [range(rows * core // cores, rows * (core + 1) // cores) for core in range(cores)]
        processes = [self._start(part) for part in ranges]
        try:
            for process in processes:
                while process.stdout and process.stdout.read(1):
                    report()
            failed = [process.wait() != 0 for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
                if process.stdout:
                    process.stdout.close()
        for part in (part for part, problem in zip(ranges, failed, strict=True) if problem):
            self.run(part, engine.cancellation.check)  # raises the error of the process
        return None

    def _start(self, rows: range) -> subprocess.Popen[bytes]:
        job = {
            "bundle": [str(self.bundle.path), self.bundle.fd],
            "files": [[file.digest.text, file.size, file.path] for file in self.files],
            "geometry": asdict(self.geometry),
            "slices": list(self.slices),
            "digests": list(self.digests),
            "rows": [rows.start, rows.stop],
        }
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[self.bundle.fd, *self.slices, *self.digests],
        )
        with suppress(BrokenPipeError):  # the process ended: its exit status tells
            if process.stdin:
                with process.stdin:
                    process.stdin.write(json.dumps(job).encode())
        return process

    def _write(self, fd: int, data: bytes, offset: int) -> None:
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(fd, view, offset)
                view, offset = view[count:], offset + count
        except OSError as error:
            raise to_bundler_error(error, self.bundle.path, "cannot write here") from error


def main() -> None:
    """Encode the codewords of the job on stdin; write a byte to stdout after each one."""
    from pathlib import Path  # noqa: PLC0415 - for this process only

    job = json.load(sys.stdin.buffer)
    path, fd = job["bundle"]
    files = [ProtectedFile(Digest(text), size, name) for text, size, name in job["files"]]
    encoding = Encoding(
        Directory(Path(path), fd), files, Geometry(**job["geometry"]), job["slices"], job["digests"]
    )
    encoding.run(range(*job["rows"]), lambda: write_all(1, b"."))
