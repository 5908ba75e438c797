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
from bundler.copy.blob_transfer import BlobActivity, ResumingReader
from bundler.copy.convert.conversion_plan import ConvertedLayer, LayerChange, LayerConversion
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
    with BlobActivity(node, "copy", context.cancellation, context.emit) as activity:
        attempts = activity.create_attempts()
        for _ in attempts:
            with closing(ResumingReader(source, activity)) as stream, ExitStack() as stack:
                pipeline = _LayerPipeline(change, stream, activity, stack)
                try:
                    converted = _push(pipeline, node, destination, context)
                except RegistryError as error:
                    if stream.failed:
                        raise
                    attempts.fail(error)
                    activity.undo_progress()
                else:
                    activity.report_progress()
                    break
        else:
            raise AssertionError("the iterator over attempts never ends")
    if not change.conversion.diff_id:
        return converted
    # The layer is read again to compute the digest of its uncompressed bytes.
    with (
        BlobActivity(node, "check", context.cancellation, context.emit) as activity,
        closing(ResumingReader(source, activity)) as stream,
        ExitStack() as stack,
    ):
        uncompressed = LayerChange(change.layer, LayerConversion("uncompressed"))
        pipeline = _LayerPipeline(uncompressed, stream, activity, stack)
        drain(pipeline.content)
        activity.report_progress()
        return replace(converted, diff_id=pipeline.content.descriptor().digest)


class _LayerPipeline:
    """A chain of readers: verify, decrypt, decompress, compress, encrypt.

    ``content`` is the last reader of the chain. Steps that are not needed are omitted. ``stack``
    closes the readers.
    """

    def __init__(
        self,
        change: LayerChange,
        stream: Reader,
        activity: BlobActivity,
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
        content = original = activity.create_reader(peeked)
        if conversion.decrypt is not None:
            peeked = _PeekedStream(conversion.decrypt(original, layer))
            content = self._hash(peeked)
        found = decompress.detect(peeked.head)
        self.compression: str | None = found
        """The compression of the result; None: uncompressed."""
        if conversion.form == "uncompressed" or (
            conversion.form == "compressed"
            and not (found is not None and conversion.only_uncompressed)
            and (found != conversion.algorithm or conversion.force)
        ):
            self.compression = None
            if found is not None or change.diff_id not in (None, layer.digest):
                reader: Reader = content
                if found is not None:
                    reader = DecompressingReader(content, found, self._subject)
                content = self._hash(reader, f"{self._subject}, uncompressed", change.diff_id)
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


def _push(
    pipeline: _LayerPipeline, node: Node, destination: Destination, context: ConversionContext
) -> ConvertedLayer:
    conversion = pipeline.conversion
    if pipeline.unchanged:
        stored = destination.push(node, pipeline.content)
    elif conversion.precompute:
        stored = _push_from_file(pipeline, node, destination, context.scratch or _SCRATCH)
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
    pipeline: _LayerPipeline, node: Node, destination: Destination, directory: Path
) -> Descriptor:
    """Convert to a temporary file, and push it unless the result is present at the destination."""
    import tempfile  # noqa: PLC0415 - slow to load, and rarely needed

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
