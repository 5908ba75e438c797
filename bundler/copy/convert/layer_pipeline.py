"""Convert a layer during its transfer: decrypt, decompress, compress, encrypt.

The bytes from the source are verified. The uncompressed bytes are verified against the diff ID, if
the config of the image contains it. The digest of the result is computed during the push.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams.reader import Reader, drain, read_chunks
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

_SCRATCH = Path("/var/tmp")  # noqa: S108 - only files without a name
_ENCRYPTION_ANNOTATIONS = "org.opencontainers.image.enc."


@dataclass(frozen=True, slots=True)
class ConversionContext:
    """The cancellation, the events and the temporary directory of the run."""

    cancellation: Cancellation
    emit: Emit
    scratch: Path | None = None
    """Directory for large temporary files; None: ``/var/tmp``."""


def convert_layer(
    change: LayerChange, source: Source, destination: Destination, context: ConversionContext
) -> ConvertedLayer:
    """Read a layer from ``source``, convert it, and push the result to ``destination``.

    Raises:
        IntegrityError: the layer does not match its digest or size, or the uncompressed bytes do
            not match the diff ID; nothing was stored.
        RegistryError: the transfer failed permanently, or all retries failed.
    """
    node = Node.of(change.layer, "layer")
    cancellation, emit = context.cancellation, context.emit
    with blob_transfer.report_blob(node, "copy", emit):
        attempts = blob_transfer.create_attempts(node, cancellation, emit)
        for _ in attempts:
            stream = blob_transfer.ResumingReader(node, source, cancellation, emit)
            progress = blob_transfer.BlobProgress(node, cancellation, emit)
            with closing(stream), ExitStack() as stack:
                pipeline = _LayerPipeline(change, stream, progress, stack)
                try:
                    converted = _push(pipeline, node, destination, context)
                except RegistryError as error:
                    if stream.failed:
                        raise
                    attempts.fail(error)
                    progress.undo()
                else:
                    progress.report()
                    break
        else:
            raise AssertionError("the iterator over attempts never ends")
    if change.conversion.diff_id:
        diff_id = _compute_diff_id(change.layer, source, context)
        converted = replace(converted, diff_id=diff_id)
    return converted


def _compute_diff_id(layer: Descriptor, source: Source, context: ConversionContext) -> Digest:
    """Read a layer again to compute the digest of its uncompressed bytes."""
    node = Node.of(layer, "layer")
    cancellation, emit = context.cancellation, context.emit
    with (
        blob_transfer.report_blob(node, "check", emit),
        closing(blob_transfer.ResumingReader(node, source, cancellation, emit)) as stream,
        ExitStack() as stack,
    ):
        progress = blob_transfer.BlobProgress(node, cancellation, emit)
        change = LayerChange(layer, LayerConversion("uncompressed"))
        pipeline = _LayerPipeline(change, stream, progress, stack)
        drain(pipeline.content)
        progress.report()
        return pipeline.content.descriptor().digest


class _LayerPipeline:
    """A chain of readers: verify, decrypt, decompress, compress, encrypt.

    ``content`` is the last reader of the chain. Steps that are not needed are omitted. ``stack``
    closes the readers.
    """

    def __init__(
        self,
        change: LayerChange,
        stream: Reader,
        progress: blob_transfer.BlobProgress,
        stack: ExitStack,
    ) -> None:
        self.layer = layer = change.layer
        self.conversion = conversion = change.conversion
        self.expected: Digest | None = None
        """The expected digest of the result; None if unknown."""
        self._subject = f"layer {layer.digest}"
        self._stack = stack
        self._transformed: list[TransformedStream] = []
        peeked = _PeekedStream(stream)
        content = original = VerifiedReader(
            peeked,
            layer.digest.text,
            digest=layer.digest,
            size=Node.of(layer, "layer").size,
            media_type=layer.media_type,
            observe=progress,
        )
        if conversion.decrypt is not None:
            peeked = _PeekedStream(conversion.decrypt(original, layer))
            content = self._hash(peeked)
        found = decompress.detect(peeked.head)
        self.compression: str | None = found
        """The compression of the result; None: uncompressed."""
        if _needs_decompression(conversion, found):
            content = self._decompress(content, found, change.diff_id)
            if conversion.form == "compressed":
                content = self._compress(content)
            else:
                self.expected = change.diff_id
        if conversion.encrypt is not None:
            content = self._transform(conversion.encrypt(content, layer))
        self.content = content
        self.unchanged = content is original

    def create_annotations(self) -> dict[str, str]:
        """Return the annotations of the new descriptor; complete only at the end of the stream."""
        annotations = dict(self.layer.annotations)
        if self.conversion.decrypt is not None:
            for key in self.layer.annotations:
                if key.startswith(_ENCRYPTION_ANNOTATIONS):
                    del annotations[key]
        for stream in self._transformed:
            annotations.update(stream.annotations())
        return annotations

    def _decompress(
        self,
        content: VerifiedReader,
        found: decompress.Compression | None,
        diff_id: Digest | None,
    ) -> VerifiedReader:
        self.compression = None
        if found is None and diff_id in (None, self.layer.digest):
            return content  # already verified
        reader: Reader = content
        if found is not None:
            reader = DecompressingReader(content, found, self._subject)
        return self._hash(reader, f"{self._subject}, uncompressed", diff_id)

    def _compress(self, reader: Reader) -> VerifiedReader:
        from bundler.content.compression.compress import CompressingReader  # noqa: PLC0415 - rarely needed

        algorithm, level = self.conversion.algorithm, self.conversion.level
        self.compression = algorithm.partition(":")[0]
        return self._transform(CompressingReader(reader, algorithm, level))

    def _transform(self, stream: TransformedStream) -> VerifiedReader:
        self._stack.callback(stream.close)
        self._transformed.append(stream)
        return self._hash(stream)

    def _hash(
        self, reader: Reader, subject: str | None = None, digest: Digest | None = None
    ) -> VerifiedReader:
        return VerifiedReader(
            reader,
            subject or self._subject,
            digest=digest,
            size=None,
            media_type=self.layer.media_type,
        )


class _PeekedStream:
    """A reader whose first bytes are available in ``head`` before they are read."""

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


def _needs_decompression(conversion: LayerConversion, found: decompress.Compression | None) -> bool:
    match conversion.form:
        case "unchanged":
            return False
        case "uncompressed":
            return True
        case "compressed":
            if found is not None and conversion.only_uncompressed:
                return False
            return found != conversion.algorithm or conversion.force


def _push(
    pipeline: _LayerPipeline, node: Node, destination: Destination, context: ConversionContext
) -> ConvertedLayer:
    conversion = pipeline.conversion
    if pipeline.unchanged:
        stored = destination.push(node, pipeline.content)
    elif conversion.precompute:
        stored = _push_from_file(pipeline, node, destination, context)
    else:
        expected = pipeline.expected
        new = replace(node, digest=expected, size=None, diff_id=expected)
        stored = destination.push(new, pipeline.content)
    descriptor = replace(
        pipeline.layer,
        digest=stored.digest,
        size=stored.size,
        annotations=pipeline.create_annotations(),
    )
    encrypted = conversion.encrypt is not None
    return ConvertedLayer(descriptor, pipeline.compression, encrypted=encrypted)


def _push_from_file(
    pipeline: _LayerPipeline, node: Node, destination: Destination, context: ConversionContext
) -> Descriptor:
    """Convert to a temporary file, and push it unless the result is present at the destination."""
    import tempfile  # noqa: PLC0415 - slow to load, and rarely needed

    directory = context.scratch or _SCRATCH
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            for chunk in read_chunks(pipeline.content):
                file.write(chunk)
            file.seek(0)
            new = pipeline.content.descriptor()
            new_node = replace(node, digest=new.digest, size=new.size)
            if destination.has(new_node):
                return new
            content = VerifiedReader(file, f"layer {new.digest}", digest=new.digest, size=new.size)
            return destination.push(new_node, content)
    except OSError as error:
        raise to_bundler_error(error, directory, "cannot write temporary files") from error
