"""Convert a SquashFS to a layer without unpacking its files to disk.

``unsquashfs`` writes a pseudo file, whose files are copied to a tar archive in the same order.
Owners and devices are thus preserved without root privileges. A tar archive cannot contain sockets,
and old versions of ``unsquashfs`` do not write extended attributes; a warning reports both.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
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
from bundler.events import WarningIssued
from bundler.transports.shared.scratch_file import ScratchFile
from bundler.transports.sif.pseudo_file import PseudoFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams import Reader
    from bundler.ports import OpenOptions
    from bundler.transports.sif.file_format import SifFile

SCRIPT = "podman/runscript"
"""The path of the script in the layer."""

_POLL_INTERVAL = 0.2  # seconds between checks for cancellation
_XATTR_TABLE = struct.Struct("<56xq")
"""The position of the table of extended attributes in the superblock; -1: there is none."""
_SCRIPT_FILES = (SCRIPT.partition("/")[0], SCRIPT)


class SquashfsConverter:
    """Converts the SquashFS of a SIF file.

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

        ``script`` is added as an executable file, unless the SquashFS contains a file with this
        name.

        Raises:
            LimitError: the SquashFS is too large, or contains too many files.
            MalformedError: the SquashFS is damaged.
            UnsupportedError: ``unsquashfs`` is not installed, or a file cannot be stored in a
                layer.
            NoSpaceError, MediumError: the layer cannot be written.
        """
        with (
            closing(ScratchFile(self._options)) as unpacked,
            closing(ScratchFile(self._options)) as layer,
        ):
            self._run_unsquashfs(unpacked.fd)
            try:
                with unpacked.reader() as file, os.fdopen(os.dup(layer.fd), "wb") as output:
                    pseudo = PseudoFile(file, self._subject)
                    types: dict[str, bytes] = {}
                    for member, content in pseudo.read_members():
                        if member.name in _SCRIPT_FILES:
                            types[member.name] = member.type
                        self._write_member(output, member, content)
                    if pseudo.sockets:
                        problem = f"a layer cannot contain sockets; {pseudo.sockets:,} left out"
                        self._options.emit(WarningIssued(f"{self._subject}: {problem}"))
                    superblock = FileSlice(self._file, self._sif.offset, _XATTR_TABLE.size).read()
                    if not pseudo.has_attributes and _XATTR_TABLE.unpack(superblock) != (-1,):
                        text = (
                            f"{self._subject}: the extended attributes of its files, such as"
                            " capabilities, are left out (install squashfs-tools 4.6 or later to"
                            " keep them)"
                        )
                        self._options.emit(WarningIssued(text))
                    if script is not None:
                        self._write_script(script, types, output)
                    output.write(bytes(2 * tarfile.BLOCKSIZE))
            except OSError as error:
                raise to_bundler_error(error, layer.path, "cannot write") from error
            return layer.reader()

    def _run_unsquashfs(self, output: int) -> None:
        """Run ``unsquashfs`` to write a pseudo file to the file descriptor ``output``."""
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
                f"{self._subject}: unsquashfs is not installed (needed to read the root directory)",
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
            raise MalformedError(f"{self._subject}: unsquashfs cannot read the root directory")

    def _write_member(self, output: BinaryIO, member: tarfile.TarInfo, content: Reader) -> None:
        output.write(member.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape"))
        if member.size:
            for chunk in read_chunks(content, member.size):
                self._options.cancellation.check()
                output.write(chunk)
            output.write(bytes(-member.size % tarfile.BLOCKSIZE))

    def _write_script(self, script: bytes, types: Mapping[str, bytes], output: BinaryIO) -> None:
        """Write the script and its directory, unless the SquashFS contains them."""
        kinds = ((tarfile.DIRTYPE, b""), (tarfile.REGTYPE, script))
        for name, (kind, data) in zip(_SCRIPT_FILES, kinds, strict=True):
            if types.get(name, kind) != kind:
                raise UnsupportedError(f"{self._subject}: {name!r} conflicts with its runscript")
            if name not in types:
                member = tarfile.TarInfo(name)
                member.type, member.mode, member.mtime = kind, 0o755, self._sif.modified
                member.size = len(data)
                self._write_member(output, member, BytesIO(data))
