"""Convert a squashfs to a layer without unpacking its files to a disk.

``unsquashfs`` writes a pseudo file, which contains a line for each file of the squashfs and then
the contents of all files. Both are copied to a tar archive in the same order. Owners and devices
are thus preserved without root privileges, and no file name is ever used as a path. Extended
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
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from bundler.content.compression.decompress import FREE_OUTPUT, MAX_RATIO
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import FileSlice
from bundler.content.streams import read_chunks
from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.transports.shared.scratch_file import ScratchFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams import Reader
    from bundler.ports import OpenOptions
    from bundler.transports.sif.file_format import SifFile

SCRIPT = "podman/runscript"
"""The path of the script in the layer."""

_END_OF_LINES = b"# START OF DATA - DO NOT MODIFY\n"
_START_OF_DATA = _END_OF_LINES + b"#\n"
_MAX_FILES = 1_000_000
_MAX_LINE = 64 * 1024
_POLL_INTERVAL = 0.2  # seconds until the cancellation is checked again
_LINE = re.compile(
    rb"(?P<name>(?:[^\\ ]|\\.)+) (?P<type>[DRSLCBIF])"
    rb"(?: (?P<time>-?\d+) (?P<mode>[0-7]+) (?P<uid>\d+) (?P<gid>\d+))?(?: (?P<rest>.*))?",
    re.DOTALL,
)
_TYPES = {
    b"D": tarfile.DIRTYPE,
    b"R": tarfile.REGTYPE,
    b"S": tarfile.SYMTYPE,
    b"L": tarfile.LNKTYPE,
    b"C": tarfile.CHRTYPE,
    b"B": tarfile.BLKTYPE,
    b"I": tarfile.FIFOTYPE,
}


class SquashfsConverter:
    """Converts the squashfs of a SIF file.

    Args:
        file: the SIF file.
        sif: its metadata.
        options: the cancellation and the directory for large temporary files.
    """

    def __init__(self, file: RegularFile, sif: SifFile, options: OpenOptions) -> None:
        self._file = file
        self._sif = sif
        self._options = options
        self._subject = str(file.path)

    def create_layer(self, script: bytes | None) -> RegularFile:
        """Write the layer, uncompressed, to a temporary file, which the caller closes.

        ``script`` is added as an executable file, unless the squashfs contains a file of its name.

        Raises:
            LimitError: the squashfs contains more than allowed.
            MalformedError: the squashfs is damaged.
            UnsupportedError: ``unsquashfs`` is not installed, or a layer cannot contain a file.
            NoSpaceError, MediumError: the layer cannot be written.
        """
        with (
            closing(ScratchFile(self._options)) as unpacked,
            closing(ScratchFile(self._options)) as layer,
        ):
            self._run_unsquashfs(unpacked.fd)
            try:
                with unpacked.reader() as pseudo, os.fdopen(os.dup(layer.fd), "wb") as output:
                    types = self._write_files(pseudo, output)
                    if script is not None:
                        self._write_script(script, types, output)
                    output.write(bytes(2 * tarfile.BLOCKSIZE))
            except OSError as error:
                raise to_bundler_error(error, layer.path, "cannot write") from error
            return layer.reader()

    def _run_unsquashfs(self, output: int) -> None:
        """Have ``unsquashfs`` write a pseudo file to the file descriptor ``output``."""
        limit = max(FREE_OUTPUT, MAX_RATIO * self._sif.size)
        squashfs = self._file.fileno()
        command = ["unsquashfs", "-quiet", "-no-progress", "-offset", str(self._sif.offset)]
        command += ["-pf", f"/proc/self/fd/{output}", f"/proc/self/fd/{squashfs}"]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(output, squashfs),
            )
        except FileNotFoundError:
            raise UnsupportedError(
                f"{self._subject}: unsquashfs, which reads its root directory, is not installed",
                hint="install it: apt-get install squashfs-tools",
            ) from None
        with process:
            try:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
                while process.poll() is None:
                    self._options.cancellation.check()
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_INTERVAL)
            finally:
                process.kill()
        if process.returncode == -signal.SIGXFSZ or os.fstat(output).st_size > limit:
            raise LimitError(f"{self._subject}: more than {limit:,} bytes after decompression")
        if process.returncode != 0:
            raise MalformedError(f"{self._subject}: unsquashfs cannot read its root directory")

    def _write_files(self, pseudo: RegularFile, output: BinaryIO) -> dict[str, bytes]:
        """Write all files of a pseudo file to a tar archive; return their types by name."""
        types: dict[str, bytes] = {}
        with os.fdopen(os.dup(pseudo.fileno()), "rb") as file:
            start = sum(len(line) for line in self._read_lines(file)) + len(_START_OF_DATA)
            for line in self._read_lines(file):
                if line.startswith(b"#"):
                    continue
                member, offset = self._parse_line(line)
                if start + offset + member.size > pseudo.size:
                    raise MalformedError(
                        f"{self._subject}: truncated within the contents of its files"
                    )
                types[member.name] = member.type
                content = FileSlice(pseudo, start + offset, member.size)
                self._write_member(output, member, content)
        return types

    def _read_lines(self, file: BinaryIO) -> Iterator[bytes]:
        """Read all lines, from the first one to the contents of the files."""
        file.seek(0)
        for _ in range(_MAX_FILES):
            line = file.readline(_MAX_LINE)
            if not line.endswith(b"\n"):
                raise MalformedError(f"{self._subject}: truncated within the list of its files")
            if line == _END_OF_LINES:
                return
            yield line
        raise LimitError(f"{self._subject}: more than {_MAX_FILES:,} files")

    def _parse_line(self, line: bytes) -> tuple[tarfile.TarInfo, int]:
        """Parse the line of a file; return its tar header, and the offset of its content."""
        found = _LINE.fullmatch(line[:-1])
        if found is None or (found["mode"] is None and found["type"] != b"L"):
            raise UnsupportedError(
                f"{self._subject}: unsupported file or file name: {line[:80]!r}",
                hint="rebuild the image without sockets and without line breaks in names",
            )
        name = _unescape(found["name"])
        member = tarfile.TarInfo("./" if name == "/" else name)
        if name != "/" and ("" in name.split("/") or ".." in name.split("/")):
            raise MalformedError(f"{self._subject}: {name[:80]!r} is not a valid file name")
        member.type = _TYPES[found["type"]]
        rest = found["rest"] or b""
        if member.type == tarfile.LNKTYPE:
            member.linkname = _unescape(rest)
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

    def _write_member(self, output: BinaryIO, member: tarfile.TarInfo, content: Reader) -> None:
        output.write(member.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape"))
        if member.size:
            for chunk in read_chunks(content, member.size):
                self._options.cancellation.check()
                output.write(chunk)
            output.write(bytes(-member.size % tarfile.BLOCKSIZE))

    def _write_script(self, script: bytes, types: Mapping[str, bytes], output: BinaryIO) -> None:
        """Write the script and its directory, unless the squashfs contains them."""
        directory = SCRIPT.partition("/")[0]
        for name, kind, data in (
            (directory, tarfile.DIRTYPE, b""),
            (SCRIPT, tarfile.REGTYPE, script),
        ):
            if types.get(name, kind) != kind:
                raise UnsupportedError(f"{self._subject}: {name!r} conflicts with its runscript")
            if name not in types:
                member = tarfile.TarInfo(name)
                member.type, member.mode, member.mtime = kind, 0o755, self._sif.modified
                member.size = len(data)
                self._write_member(output, member, BytesIO(data))


def _unescape(text: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\(.)", rb"\1", text, flags=re.DOTALL))
