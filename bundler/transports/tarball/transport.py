"""``tarball:FILE[:FILE...]``: an image with one layer for each file, for reading only.

A file is a tar archive, compressed or not, and becomes a layer unchanged; ``-`` is standard input.
The config is created as in containers/image, from the contents and the modification times of the
files, so that the images are identical. Times are in UTC.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.safe_directory import FileSlice
from bundler.content.streams import VerifiedReader, drain
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
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions

_STDIN = "-"
_COMMENT = "imported from tarball"
_LAYER_TYPES = {None: media_types.OCI_LAYER, "zstd": media_types.OCI_LAYER_ZSTD}
# Go's names of architectures whose kernel names differ.
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

    Each file is read twice: first to compute its digests, then as a layer.

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
        """Compute the digests of all files, compressed and uncompressed, and create the config."""
        layers: Layers = []
        diff_ids: list[Digest] = []
        times: list[int] = []  # nanoseconds since 1970
        for file in self._files:
            subject = f"{self.subject}: {file.path}"
            stored = plain = self.create_hashing_reader(file, subject)
            compression = decompress.detect(FileSlice(file, 0, decompress.MAGIC_SIZE).read())
            if compression is not None:
                unpacked = DecompressingReader(stored, compression, subject)
                plain = VerifiedReader(unpacked, subject, digest=None, size=None)
            drain(plain)
            # bzip2 and xz have no media type; container engines detect the compression themselves.
            media_type = _LAYER_TYPES.get(compression, media_types.OCI_LAYER_GZIP)
            blob = stored.descriptor()
            layers.append((Descriptor(media_type, blob.digest, blob.size), file))
            diff_ids.append(plain.descriptor().digest)
            times.append(os.fstat(file.fileno()).st_mtime_ns)
        machine = os.uname().machine
        config: dict[str, object] = {
            "created": timestamps.format_nanoseconds(max(times)),
            "architecture": _ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest.text for digest in diff_ids]},
            "history": [
                create_history_entry(digest, timestamps.format_nanoseconds(time), _COMMENT)
                for digest, time in zip(diff_ids, times, strict=True)
            ],
        }
        return config, layers


class TarballTransport(ReadOnlyTransport):
    """The transport ``tarball:``."""

    hint = "copy to oci:DIRECTORY or docker-archive:FILE, or push to a registry"

    def parse(self, text: str, /) -> UnnamedReference:
        """Parse ``FILE[:FILE...]``.

        Raises:
            InvalidReferenceError: a path is empty, or standard input is specified twice.
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


TRANSPORT = TarballTransport()
