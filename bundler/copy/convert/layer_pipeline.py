"""Move one layer that changes its form on the way: decompressed, compressed, hashed, sealed.

The bytes that leave are verified as everywhere, and so is what comes out of them where the image's
config tells its digest; what arrives gets the digest that it turns out to have.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.os_errors import explained
from bundler.content.streams.reader import Reader, new_buffer
from bundler.content.streams.verified import VerifiedReader
from bundler.copy import blob_transfer
from bundler.copy.convert.options import ConvertedLayer, LayerChange, LayerConversion
from bundler.errors import RegistryError
from bundler.ports import Node

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.copy.convert.options import TransformedStream
    from bundler.events import Emit
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Destination, Source

_SCRATCH = Path("/var/tmp")  # noqa: S108 - the files there have no names

_SEALED = "org.opencontainers.image.enc."


@dataclass(frozen=True, slots=True)
class ConversionContext:
    """What making a layer needs besides the layer."""

    cancellation: Cancellation
    emit: Emit
    scratch: Path | None = None


def convert_layer(
    change: LayerChange, source: Source, destination: Destination, shop: ConversionContext
) -> ConvertedLayer:
    """Bring a layer to ``destination`` in another form; what arrived.

    Raises:
        IntegrityError: the bytes are not the promised ones, or uncompressed not what the config
            says; nothing was kept.
        RegistryError: temporary failures went on for longer than was worth waiting for.
    """
    node = Node.of(change.layer, "layer")
    with blob_transfer.report_blob(node, "copy", shop.emit):
        attempts = blob_transfer.new_attempts(node, shop.cancellation, shop.emit)
        for _ in attempts:
            stream = blob_transfer.ResumingReader(node, source, shop.cancellation, shop.emit)
            progress = blob_transfer.BlobProgress(node, shop.cancellation, shop.emit)
            with closing(stream), ExitStack() as opened:
                line = _LayerPipeline(change, stream, progress, opened)
                try:
                    made = _push(line, node, destination, shop)
                except RegistryError as error:
                    if stream.failed:
                        raise
                    attempts.fail(error)
                    progress.undo()
                else:
                    progress.report()
                    break
        else:
            raise AssertionError("an iteration over attempts has no end")
    if change.conversion.diff_id:
        made = replace(made, diff_id=compute_diff_id(change.layer, source, shop))
    return made


def compute_diff_id(layer: Descriptor, source: Source, shop: ConversionContext) -> Digest:
    """The digest of a layer's uncompressed bytes, which are read for nothing else.

    Raises:
        IntegrityError: the bytes are not the promised ones.
    """
    node = Node.of(layer, "layer")
    with (
        blob_transfer.report_blob(node, "check", shop.emit),
        closing(blob_transfer.ResumingReader(node, source, shop.cancellation, shop.emit)) as stream,
        ExitStack() as opened,
    ):
        progress = blob_transfer.BlobProgress(node, shop.cancellation, shop.emit)
        change = LayerChange(layer, LayerConversion("uncompressed"))
        line = _LayerPipeline(change, stream, progress, opened)
        buffer = new_buffer()
        while line.content.readinto(buffer):
            pass
        progress.report()
        return line.content.descriptor().digest


class _LayerPipeline:
    """The stations that a layer's bytes go through, one reading from the other."""

    def __init__(
        self,
        change: LayerChange,
        stream: Reader,
        progress: blob_transfer.BlobProgress,
        opened: ExitStack,
    ) -> None:
        self.layer = layer = change.layer
        self.treatment = treatment = change.conversion
        self.expected: Digest | None = None
        """What arrives must have this digest; None: it has whatever it turns out to have."""
        self._what = f"layer {layer.digest}"
        self._opened = opened
        self._altered: list[TransformedStream] = []
        beginning = _PeekedStream(stream)
        content = left = VerifiedReader(
            beginning,
            layer.digest.text,
            digest=layer.digest,
            size=Node.of(layer, "layer").size,
            media_type=layer.media_type,
            observe=progress,
        )
        if treatment.decrypt is not None:
            beginning = _PeekedStream(treatment.decrypt(left, layer))
            content = self._computed(beginning)
        found = decompress.detect(beginning.head)
        self.compression: str | None = found
        if _needs_plain(treatment, found):
            content = self._uncompressed(content, found, change.diff_id)
            if treatment.form == "compressed":
                content = self._compressed(content, treatment)
            else:
                self.expected = change.diff_id
        if treatment.encrypt is not None:
            content = self._station(treatment.encrypt(content, layer))
        self.content = content
        self.unchanged = content is left

    @property
    def annotations(self) -> dict[str, str]:
        """What the stations have to say on the layer's descriptor; only after the end."""
        return {key: text for one in self._altered for key, text in one.annotations().items()}

    def _uncompressed(
        self,
        content: VerifiedReader,
        found: decompress.Compression | None,
        diff_id: Digest | None,
    ) -> VerifiedReader:
        """The layer's tar; one that came as it is was verified already, if by the same digest."""
        self.compression = None
        if found is None and diff_id in (None, self.layer.digest):
            return content
        reader: Reader = content
        if found is not None:
            reader = DecompressingReader(content, found, self._what)
        return self._computed(reader, f"{self._what}, uncompressed", diff_id)

    def _compressed(self, reader: Reader, treatment: LayerConversion) -> VerifiedReader:
        from bundler.content.compression.compress import CompressingReader  # noqa: PLC0415 - rarely needed

        self.compression = treatment.algorithm.partition(":")[0]
        return self._station(CompressingReader(reader, treatment.algorithm, treatment.level))

    def _station(self, altered: TransformedStream) -> VerifiedReader:
        self._opened.callback(altered.close)
        self._altered.append(altered)
        return self._computed(altered)

    def _computed(
        self, reader: Reader, what: str | None = None, digest: Digest | None = None
    ) -> VerifiedReader:
        return VerifiedReader(
            reader,
            what or self._what,
            digest=digest,
            size=None,
            media_type=self.layer.media_type,
        )


class _PeekedStream:
    """A stream whose first bytes were looked at."""

    def __init__(self, stream: Reader) -> None:
        self._stream = stream
        head = b""
        while len(head) < decompress.MAGIC_SIZE and (
            more := stream.read(decompress.MAGIC_SIZE - len(head))
        ):
            head += more
        self.head = head
        self._left = memoryview(head)

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            return self._stream.read(size)
        if size < 0:
            data, self._left = bytes(self._left), memoryview(b"")
            return data + self._stream.read()
        data, self._left = bytes(self._left[:size]), self._left[size:]
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(self._left), len(buffer))
        if count:
            buffer[:count], self._left = self._left[:count], self._left[count:]
        if count == len(buffer):
            return count
        return count + self._stream.readinto(buffer[count:])


def _needs_plain(treatment: LayerConversion, found: decompress.Compression | None) -> bool:
    """Whether the uncompressed bytes have to go by."""
    match treatment.form:
        case "found":
            return False
        case "uncompressed":
            return True
        case "compressed":
            if found is not None and treatment.only_uncompressed:
                return False
            return found != treatment.algorithm or treatment.force


def _push(
    line: _LayerPipeline, node: Node, destination: Destination, shop: ConversionContext
) -> ConvertedLayer:
    """Bring what comes out of ``line`` to its place."""
    treatment = line.treatment
    if line.unchanged:
        stored = destination.push(node, line.content)
    elif treatment.precompute:
        stored = _push_spooled(line, node, destination, shop)
    else:
        made = replace(node, digest=line.expected, size=None, diff_id=line.expected)
        stored = destination.push(made, line.content)
    annotations = dict(line.layer.annotations)
    if treatment.decrypt is not None:
        annotations = {key: annotations[key] for key in annotations if not key.startswith(_SEALED)}
    annotations |= line.annotations
    descriptor = replace(
        line.layer, digest=stored.digest, size=stored.size, annotations=annotations
    )
    return ConvertedLayer(descriptor, line.compression, encrypted=treatment.encrypt is not None)


def _push_spooled(
    line: _LayerPipeline, node: Node, destination: Destination, shop: ConversionContext
) -> Descriptor:
    """Write it into a file without a name first: perhaps it is there already."""
    import tempfile  # noqa: PLC0415 - loads much that hardly anybody needs

    folder = shop.scratch or _SCRATCH
    try:
        with tempfile.TemporaryFile(dir=folder) as spool:
            buffer = new_buffer()
            while count := line.content.readinto(buffer):
                spool.write(buffer[:count])
            spool.seek(0)
            made = line.content.descriptor()
            known = replace(node, digest=made.digest, size=made.size)
            if destination.has(known):
                return made
            content = VerifiedReader(
                spool, f"layer {made.digest}", digest=made.digest, size=made.size
            )
            return destination.push(known, content)
    except OSError as error:
        raise explained(error, folder, "cannot write temporary files") from error
