"""A layer of what a squashfs holds, without ever writing its files to a disk.

``unsquashfs`` lists what is in it and puts the contents of all files one after the other; both go
to a file without a name. From there they become members of a tar archive, sorted as they are
listed. So owners and devices are kept, nobody has to be root, and no name leads anywhere. Extended
attributes are lost.

unsquashfs(1) of squashfs-tools 4.5: pseudo files
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import tarfile
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from bundler.content.compression.decompress import FREE_OUTPUT, MAX_RATIO
from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import FileSlice
from bundler.content.streams.reader import read_chunks
from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.transports.shared.scratch_file import ScratchFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.cancel import Cancellation
    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams.reader import Reader
    from bundler.ports import OpenOptions
    from bundler.transports.sif.file_format import SifFile

_DATA = b"# START OF DATA - DO NOT MODIFY\n"
_DATA_FOLLOWS = _DATA + b"#\n"
_MAX_FILES = 1_000_000
_MAX_LINE = 64 * 1024
_GLANCE = 0.2  # seconds between two looks at the cancellation
_LINE = re.compile(
    rb"(?P<name>(?:[^\\ ]|\\.)+) (?P<kind>[DRSLCBIF])"
    rb"(?: (?P<time>-?\d+) (?P<mode>[0-7]+) (?P<uid>\d+) (?P<gid>\d+))?(?: (?P<rest>.*))?",
    re.DOTALL,
)
_KINDS = {
    b"D": tarfile.DIRTYPE,
    b"R": tarfile.REGTYPE,
    b"S": tarfile.SYMTYPE,
    b"L": tarfile.LNKTYPE,
    b"C": tarfile.CHRTYPE,
    b"B": tarfile.BLKTYPE,
    b"I": tarfile.FIFOTYPE,
}


def create_layer(
    file: RegularFile, sif: SifFile, added: Mapping[str, bytes], options: OpenOptions
) -> RegularFile:
    """The layer, uncompressed, in a file without a name, which the caller closes.

    Args:
        file: the SIF file.
        sif: its parts.
        added: programs to put there beside, by name, unless something is there already.
        options: where large temporary files go, and when to stop.

    Raises:
        LimitError: more comes out of it than is allowed.
        MalformedError: the squashfs is damaged.
        UnsupportedError: ``unsquashfs`` is not installed.
        NoSpaceError, MediumError: it cannot be kept.
    """
    with (
        closing(ScratchFile(options)) as unpacked,
        closing(ScratchFile(options)) as packed,
    ):
        job = _Job(str(file.path), sif.modified, options.cancellation)
        _unsquash(file, sif, unpacked.fd, job)
        try:
            with unpacked.reader() as pseudo, os.fdopen(os.dup(packed.fd), "wb") as output:
                _pack(pseudo, output, added, job)
        except OSError as error:
            raise explained(error, packed.path, "cannot write") from error
        return packed.reader()


@dataclass(frozen=True, slots=True)
class _Job:
    """How messages name the SIF file, when it was modified, and when to stop."""

    what: str
    modified: int
    cancellation: Cancellation


def _unsquash(file: RegularFile, sif: SifFile, output: int, job: _Job) -> None:
    """Have ``unsquashfs`` write a pseudo file to the open file ``output``."""
    limit = max(FREE_OUTPUT, MAX_RATIO * sif.size)
    command = ["unsquashfs", "-quiet", "-no-progress", "-offset", str(sif.offset)]
    command += ["-pf", f"/proc/self/fd/{output}", f"/proc/self/fd/{file.fileno()}"]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(output, file.fileno()),
        )
    except FileNotFoundError:
        raise UnsupportedError(
            f"{job.what}: unsquashfs, which reads the files in it, is not installed",
            hint="install it: apt-get install squashfs-tools",
        ) from None
    with process:
        try:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
            while process.poll() is None:
                job.cancellation.check()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GLANCE)
        finally:
            process.kill()
    if process.returncode == -signal.SIGXFSZ or os.fstat(output).st_size > limit:
        raise LimitError(f"{job.what}: more than {limit:,} bytes come out of it")
    if process.returncode != 0:
        raise MalformedError(f"{job.what}: unsquashfs cannot read the squashfs in it")


def _pack(pseudo: RegularFile, output: BinaryIO, added: Mapping[str, bytes], job: _Job) -> None:
    """Write everything that a pseudo file tells of as a tar archive, then what is ``added``."""
    names: dict[str, bytes] = {}
    with os.fdopen(os.dup(pseudo.fileno()), "rb") as lines:
        start = sum(len(line) for line in _lines(lines, job)) + len(_DATA_FOLLOWS)
        for line in _lines(lines, job):
            member, offset = _member(line, job)
            if member is None:
                continue
            if start + offset + member.size > pseudo.size:
                raise MalformedError(f"{job.what}: the contents of its files end early")
            names[member.name] = member.type
            _write(output, member, FileSlice(pseudo, start + offset, member.size), job)
    for member, data in _programs(added, names, job):
        _write(output, member, BytesIO(data), job)
    output.write(bytes(2 * tarfile.BLOCKSIZE))


def _write(output: BinaryIO, member: tarfile.TarInfo, content: Reader, job: _Job) -> None:
    output.write(member.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape"))
    if member.size:
        for chunk in read_chunks(content, member.size):
            job.cancellation.check()
            output.write(chunk)
        output.write(bytes(-member.size % tarfile.BLOCKSIZE))


def _lines(lines: BinaryIO, job: _Job) -> Iterator[bytes]:
    """All lines before the contents of the files, from the first one on."""
    lines.seek(0)
    for _ in range(_MAX_FILES):
        line = lines.readline(_MAX_LINE)
        if not line.endswith(b"\n"):
            raise MalformedError(f"{job.what}: the list of its files ends early")
        if line == _DATA:
            return
        yield line
    raise LimitError(f"{job.what}: more than {_MAX_FILES:,} files")


def _member(line: bytes, job: _Job) -> tuple[tarfile.TarInfo | None, int]:
    """What a line tells of, and where its content begins among the contents; None: nothing."""
    if line.startswith(b"#"):
        return None, 0
    found = _LINE.fullmatch(line[:-1])
    if found is None or (found["mode"] is None and found["kind"] != b"L"):
        raise UnsupportedError(
            f"{job.what}: a file that cannot be packed: {line[:80]!r}",
            hint="names with line breaks, and sockets, have no place in a layer",
        )
    name = _text(found["name"])
    member = tarfile.TarInfo("./" if name == "/" else name)
    if name != "/" and ("" in name.split("/") or ".." in name.split("/")):
        raise MalformedError(f"{job.what}: {name[:80]!r} is not the name of a file")
    member.type = _KINDS[found["kind"]]
    rest = found["rest"] or b""
    if member.type == tarfile.LNKTYPE:
        member.linkname = _text(rest)
        return member, 0
    member.mode, member.mtime = int(found["mode"], 8), int(found["time"])
    member.uid, member.gid = int(found["uid"]), int(found["gid"])
    numbers = [int(word) for word in rest.split() if word.isdigit()]
    if member.type == tarfile.SYMTYPE:
        member.linkname = os.fsdecode(rest)
    elif member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE) and len(numbers) >= 2:
        member.devmajor, member.devminor = numbers[:2]
    elif member.type == tarfile.REGTYPE and len(numbers) >= 2:
        member.size = numbers[0]
        return member, numbers[1]
    return member, 0


def _programs(
    added: Mapping[str, bytes], names: Mapping[str, bytes], job: _Job
) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """What is added, with the directory above each; what the squashfs holds stays."""
    for name, data in added.items():
        folder = os.path.dirname(name)  # noqa: PTH120 - a name in an archive
        for one, kind in ((folder, tarfile.DIRTYPE), (name, tarfile.REGTYPE)):
            if names.get(one, kind) != kind:
                raise UnsupportedError(f"{job.what}: {one!r} is in the way of its runscript")
            if one not in names:
                member = tarfile.TarInfo(one)
                member.type, member.mode, member.mtime = kind, 0o755, job.modified
                member.size = len(data) if kind == tarfile.REGTYPE else 0
                yield member, data


def _text(escaped: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\(.)", rb"\1", escaped, flags=re.DOTALL))
