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
from bundler.content.streams import Reader, VerifiedReader, drain, read_chunks
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

_SCRATCH = Path("/var/tmp")  # noqa: S108 - only for unnamed files
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
                    converted = pipeline.push(destination, context.scratch or _SCRATCH)
                except RegistryError as error:
                    if stream.failed:
                        raise
                    activity.schedule_retry(attempts, error)
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
        self._layer = layer = change.layer
        self._conversion = conversion = change.conversion
        self._expected: Digest | None = None
        """The expected digest of the result; None if unknown."""
        self._subject = f"layer {layer.digest}"
        self._stack = stack
        self._transformed: list[TransformedStream] = []
        peeked = decompress.PeekedReader(stream)
        content = original = activity.create_reader(peeked)
        if conversion.decrypt is not None:
            peeked = decompress.PeekedReader(conversion.decrypt(original, layer))
            content = self._hash(peeked)
        found = decompress.detect(peeked.head)
        self._compression: str | None = found
        """The compression of the result; None: uncompressed."""
        if conversion.form == "uncompressed" or (
            conversion.form == "compressed"
            and not (found is not None and conversion.only_uncompressed)
            and (found != conversion.algorithm or conversion.force)
        ):
            self._compression = None
            if found is not None or change.diff_id not in (None, layer.digest):
                reader: Reader = content
                if found is not None:
                    reader = DecompressingReader(content, found, self._subject)
                content = self._hash(reader, f"{self._subject}, uncompressed", change.diff_id)
            if conversion.form == "uncompressed":
                self._expected = change.diff_id
            else:
                from bundler.content.compression.compress import CompressingReader  # noqa: PLC0415 - rarely needed

                algorithm = conversion.algorithm
                self._compression = algorithm.partition(":")[0]
                compressor = CompressingReader(content, algorithm, conversion.level)
                content = self._transform(compressor)
        if conversion.encrypt is not None:
            content = self._transform(conversion.encrypt(content, layer))
        self.content = content
        self._unchanged = content is original

    def push(self, destination: Destination, scratch: Path) -> ConvertedLayer:
        """Push the result; with ``precompute``, through a temporary file in ``scratch``."""
        conversion, node = self._conversion, Node.of(self._layer, "layer")
        if self._unchanged:
            stored = destination.push(node, self.content)
        elif conversion.precompute:
            stored = self._push_from_file(node, destination, scratch)
        else:
            new = replace(node, digest=self._expected, size=None)
            stored = destination.push(new, self.content)
        annotations = dict(self._layer.annotations)
        if conversion.decrypt is not None:
            for key in self._layer.annotations:
                if key.startswith(_ENCRYPTION_ANNOTATIONS):
                    del annotations[key]
        for stream in self._transformed:
            annotations.update(stream.annotations())  # complete at the end of the stream
        descriptor = replace(
            self._layer, digest=stored.digest, size=stored.size, annotations=annotations
        )
        encrypted = conversion.encrypt is not None
        return ConvertedLayer(descriptor, self._compression, encrypted=encrypted)

    def _push_from_file(self, node: Node, destination: Destination, scratch: Path) -> Descriptor:
        """Convert to a temporary file, and push it unless the destination has the result."""
        import tempfile  # noqa: PLC0415 - slow to load, and rarely needed

        try:
            with tempfile.TemporaryFile(dir=scratch) as file:
                for chunk in read_chunks(self.content):
                    file.write(chunk)
                file.seek(0)
                new = self.content.descriptor()
                node = replace(node, digest=new.digest, size=new.size)
                if destination.has(node):
                    return new
                subject = f"layer {new.digest}"
                content = VerifiedReader(file, subject, digest=new.digest, size=new.size)
                return destination.push(node, content)
        except OSError as error:
            raise to_bundler_error(error, scratch, "cannot write temporary files") from error

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
            media_type=self._layer.media_type,
        )
