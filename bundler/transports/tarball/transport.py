"""``tarball:FILE[:FILE...]``: an image with one layer for each file, for reading only.

A file is a tar archive, compressed or not, and becomes a layer unchanged; ``-`` is standard input.
The config is created as by containers/image, from the contents and the modification times of the
files, so both create the same image. Times are in UTC.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.safe_directory import FileSlice, RegularFile
from bundler.content.streams.reader import drain
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import InvalidReferenceError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import timestamps
from bundler.transports.shared.archive_file import open_file_or_pipe
from bundler.transports.shared.path_transport import UnnamedReference
from bundler.transports.shared.synthetic_image import (
    Layers,
    ReadOnlyTransport,
    SyntheticSource,
    create_history_entry,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions

_STDIN = "-"
_COMMENT = "imported from tarball"
_LAYER_TYPES = {None: media_types.OCI_LAYER, "zstd": media_types.OCI_LAYER_ZSTD}
# Go's names of architectures that have other names in the kernel.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "loongarch64": "loong64",
}


class TarballSource(SyntheticSource):
    """Source of the image made of tar archives.

    Each file is read twice: to compute its digests, and as a layer.

    Raises:
        NotFoundError, MediumError: a file cannot be read.
    """

    def __init__(self, reference: UnnamedReference, options: OpenOptions) -> None:
        with ExitStack() as stack:
            self._files = [
                stack.enter_context(
                    open_file_or_pipe(Path("/dev/stdin" if path == _STDIN else path), options)
                )
                for path in reference.path.split(":")
            ]
            super().__init__(reference, options, stack.pop_all())

    def create(self) -> tuple[dict[str, object], Layers]:
        """Compute the digests of all files, and create the config."""
        layers = [self._read_layer(file) for file in self._files]
        entries = [layer.entry for layer in layers]
        return _create_config(layers), list(zip(entries, self._files, strict=True))

    def _read_layer(self, file: RegularFile) -> _Layer:
        """Compute the digests of a file, compressed and uncompressed."""
        subject = f"{self.subject}: {file.path}"
        stored = self.create_hashing_reader(file, subject)
        compression = decompress.detect(FileSlice(file, 0, decompress.MAGIC_SIZE).read())
        plain = stored
        if compression is not None:
            unpacked = DecompressingReader(stored, compression, subject)
            plain = VerifiedReader(unpacked, subject, digest=None, size=None)
        drain(plain)
        # bzip2 and xz have no media type; container engines detect the compression themselves.
        media_type = _LAYER_TYPES.get(compression, media_types.OCI_LAYER_GZIP)
        blob = stored.descriptor()
        entry = Descriptor(media_type, blob.digest, blob.size)
        return _Layer(entry, plain.descriptor().digest, os.fstat(file.fileno()).st_mtime_ns)


class TarballTransport(ReadOnlyTransport):
    """The transport ``tarball:``."""

    hint = "write oci:DIRECTORY, docker-archive:FILE, or push to a registry"

    def parse(self, text: str, /) -> UnnamedReference:
        """Parse ``FILE[:FILE...]``.

        Raises:
            InvalidReferenceError: a path is empty, or standard input is named twice.
        """
        paths = text.split(":")
        if not all(paths) or "\0" in text:
            raise InvalidReferenceError(
                f"tarball:{text[:200]}: no file", hint="write tarball:FILE or tarball:FILE:FILE"
            )
        if paths.count(_STDIN) > 1:
            raise InvalidReferenceError(
                f"tarball:{text[:200]}: standard input can be read only once"
            )
        return UnnamedReference("tarball", text)

    def source(self, reference: UnnamedReference, options: OpenOptions, /) -> TarballSource:
        """Open the files for reading."""
        return TarballSource(reference, options)


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of the image, and the time of its file."""

    entry: Descriptor
    diff_id: Digest
    modified: int
    """Modification time, in nanoseconds since 1970."""


def _create_config(layers: Sequence[_Layer]) -> dict[str, object]:
    machine = os.uname().machine
    return {
        "created": timestamps.format_nanoseconds(max(layer.modified for layer in layers)),
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id.text for layer in layers]},
        "history": [
            create_history_entry(
                layer.diff_id, timestamps.format_nanoseconds(layer.modified), _COMMENT
            )
            for layer in layers
        ],
    }


TRANSPORT = TarballTransport()
