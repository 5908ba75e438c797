"""``tarball:FILE[:FILE...]``: an image of one layer for each file; for reading only.

A file is a tar archive, compressed or not, and goes into the image as it is; ``-`` is stdin. The
config is made here as containers/image makes it, from the files' contents and dates, so both make
the same image of the same files. Dates are told in UTC, wherever this machine stands.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.safe_directory import FileSlice, RegularFile
from bundler.content.streams.reader import new_buffer
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import InvalidReferenceError, NotFoundError, ReadOnlyTransportError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import timestamps
from bundler.ports import SynthesizesManifests
from bundler.transports.shared import archive_file, pipes
from bundler.transports.shared.synthetic_image import SyntheticImage, added

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from typing import NoReturn

    from bundler.content.streams.reader import Reader
    from bundler.oci.digest import Digest
    from bundler.ports import Node, OpenOptions

_STDIN = "-"
_COMMENT = "imported from tarball"
_LAYER_TYPES = {None: media_types.OCI_LAYER, "zstd": media_types.OCI_LAYER_ZSTD}
# What Go calls a machine whose kernel calls it otherwise.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "loongarch64": "loong64",
}


@dataclass(frozen=True, slots=True)
class TarballReference:
    """``tarball:FILE[:FILE...]``; the image has no name."""

    paths: tuple[str, ...]

    @property
    def transport(self) -> str:
        """``tarball``."""
        return "tarball"

    @property
    def name(self) -> None:
        """None: there is only this image."""
        return

    def __str__(self) -> str:
        return f"tarball:{':'.join(self.paths)}"


class TarballSource(SynthesizesManifests):
    """Reads the files; each is read to its end once, to make the image, and again as a layer.

    Raises:
        NotFoundError, MediumError: one of them cannot be read.
    """

    def __init__(self, reference: TarballReference, options: OpenOptions) -> None:
        self._what = str(reference)
        self._options = options
        self._making = threading.Lock()
        self._image: SyntheticImage | None = None
        self._files: list[RegularFile] = []
        with ExitStack() as opened:
            for path in reference.paths:
                self._files.append(opened.enter_context(_opened(path, options)))
            self._closing = opened.pop_all()

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image, which is made when it is first asked for.

        Raises:
            LimitError, MalformedError: a compressed file is damaged, or too much comes out of it.
        """
        if name is not None:
            raise NotFoundError(f"{self._what}: no image {name!r}, the only one has no name")
        return self._made().root

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """What was made here, or a file as it is."""
        return self._made().open(target, offset)

    def close(self) -> None:
        """Let go of the files."""
        self._closing.close()

    def _made(self) -> SyntheticImage:
        with self._making:
            if self._image is None:
                layers = [self._layer(file) for file in self._files]
                entries = [layer.entry for layer in layers]
                parts = list(zip(entries, self._files, strict=True))
                self._image = SyntheticImage.of(self._what, _config(layers), parts)
            return self._image

    def _layer(self, file: RegularFile) -> _Layer:
        """Read a file to its end, as it is and as it is uncompressed."""
        what = f"{self._what}: {file.path}"
        stored = VerifiedReader(
            FileSlice(file, 0, file.size),
            what,
            digest=None,
            size=None,
            observe=lambda _: self._options.cancellation.check(),
        )
        kind = decompress.detect(FileSlice(file, 0, decompress.MAGIC_SIZE).read())
        plain = stored
        if kind is not None:
            unpacked = DecompressingReader(stored, kind, what)
            plain = VerifiedReader(unpacked, what, digest=None, size=None)
        buffer = new_buffer()
        while plain.readinto(buffer):
            pass
        # What bzip2 and xz pack has no media type of its own; nobody minds if it is called gzip.
        media_type = _LAYER_TYPES.get(kind, media_types.OCI_LAYER_GZIP)
        blob = stored.descriptor()
        entry = Descriptor(media_type, blob.digest, blob.size)
        return _Layer(entry, plain.descriptor().digest, os.fstat(file.fileno()).st_mtime_ns)


class TarballTransport:
    """``tarball:``."""

    def parse(self, text: str, /) -> TarballReference:
        """Read ``FILE[:FILE...]``."""
        paths = tuple(text.split(":"))
        if not all(paths) or "\0" in text:
            raise InvalidReferenceError(
                f"tarball:{text[:200]}: no file", hint="write tarball:FILE, or several, FILE:FILE"
            )
        if paths.count(_STDIN) > 1:
            raise InvalidReferenceError(f"tarball:{text[:200]}: stdin can be read once only")
        return TarballReference(paths)

    def source(self, reference: TarballReference, options: OpenOptions, /) -> TarballSource:
        """Open the files for reading."""
        return TarballSource(reference, options)

    def destination(self, reference: TarballReference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """There is nothing to write."""
        raise ReadOnlyTransportError(
            str(reference),
            reference.transport,
            hint="write oci:DIRECTORY, docker-archive:FILE, or push to a registry",
        )


@dataclass(frozen=True, slots=True)
class _Layer:
    """One file: how the manifest tells of it, what is in it, and its date in nanoseconds."""

    entry: Descriptor
    diff_id: Digest
    modified: int


def _opened(path: str, options: OpenOptions) -> RegularFile:
    if path != _STDIN and not pipes.is_stream(Path(path)):
        return RegularFile.open(Path(path))
    place = Path("/dev/stdin" if path == _STDIN else path)
    with pipes.incoming(place, options.cancellation) as stream:
        return archive_file.kept(stream, place, options.scratch or pipes.SCRATCH, options)


def _config(layers: Sequence[_Layer]) -> dict[str, object]:
    machine = os.uname().machine
    return {
        "created": timestamps.format_nanoseconds(max(layer.modified for layer in layers)),
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id.text for layer in layers]},
        "history": [
            added(layer.diff_id, timestamps.format_nanoseconds(layer.modified), _COMMENT)
            for layer in layers
        ],
    }


TRANSPORT = TarballTransport()
