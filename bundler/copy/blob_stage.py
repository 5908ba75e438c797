"""Transfer the blobs of a plan: with conversions, mounts, and checks of what is present."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bundler import events
from bundler.copy import blob_transfer, free_space
from bundler.errors import NotFoundError, RegistryError
from bundler.events import BlobTotal, TransferTotals
from bundler.ports import Destination, MountsBlobs, ReadableDestination

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.copy.convert.conversion_plan import ConvertedLayer, LayerChange, LayerConversion
    from bundler.copy.plan import BlobTask, Plan
    from bundler.events import Emit
    from bundler.oci.digest import Digest


class BlobStage:
    """The blobs that a run has transferred so far, for several threads."""

    def __init__(
        self,
        cancellation: Cancellation,
        emit: Emit,
        *,
        read_everything: bool = False,
        scratch: Path | None = None,
    ) -> None:
        """Begin without blobs; the options are those of ``EngineOptions``."""
        self._cancellation = cancellation
        self._emit = emit
        self._read_everything = read_everything
        self._scratch = scratch
        self._converted: dict[tuple[Destination, Digest, LayerConversion], ConvertedLayer] = {}
        # Lists, because appending is thread-safe.
        self._pushed: list[int] = []
        self._mounted: list[int] = []
        self._damaged: list[int] = []
        self._resumed: list[int] = []
        self._checked: list[int] = []
        self.changed: set[str] = set()
        """The labels of the images with a blob that the destination did not have."""
        self.absent: dict[Digest, NotFoundError] = {}
        """The errors of blobs of referrers that their source does not have."""

    def count(self, plan: Plan[Destination]) -> TransferTotals:
        """Return the totals of what was transferred, and of what needed no transfer."""
        present = BlobTotal(
            plan.count("present") - len(self._damaged),
            plan.size("present") - sum(self._damaged),
        )
        pushed, mounted, checked = map(BlobTotal.of, (self._pushed, self._mounted, self._checked))
        return TransferTotals(pushed, present, mounted, sum(self._resumed), checked)

    def find_converted(self, change: LayerChange, destination: Destination) -> ConvertedLayer:
        """Return the layer that a transfer to ``destination`` has converted."""
        return self._converted[destination, change.layer.digest, change.conversion]

    def transfer(self, task: BlobTask[Destination]) -> None:
        """Push a blob, with its conversion, or verify a blob that is present if possible."""
        node, source, destination = task.node, task.source, task.destination
        if task.change is not None:
            from bundler.copy.convert import conversion_plan, layer_pipeline  # noqa: PLC0415 - only if layers are converted

            change = task.change
            if task.action == "present":  # the original layer can be used
                compression = conversion_plan.parse_compression(change.layer.media_type)
                converted = conversion_plan.ConvertedLayer(change.layer, compression)
            else:
                context = layer_pipeline.ConversionContext(
                    self._cancellation, self._emit, self._scratch
                )
                converted = layer_pipeline.convert_layer(change, source, destination, context)
                self._pushed.append(task.size)
                self.changed.update(task.labels)
            self._converted[destination, change.layer.digest, change.conversion] = converted
        elif task.action == "push":
            self._push(task)
        elif isinstance(destination, ReadableDestination) and not blob_transfer.is_intact(
            node, destination, self._cancellation, self._emit
        ):
            free_space.check_blob(task.size, destination)
            self._damaged.append(task.size)
            self._emit(events.PushAdded(task.size, was_checked=True))
            self._emit(events.Notice(f"{node.digest}: damaged at the destination, copied again"))
            self._push(task)
        elif self._read_everything:
            blob_transfer.check_blob(node, source, self._cancellation, self._emit)
            self._checked.append(task.size)
        elif isinstance(destination, ReadableDestination):
            self._checked.append(task.size)

    def mount(self, task: BlobTask[Destination]) -> None:
        """Mount a blob from a repository of the same registry; push it if that fails."""
        destination = task.destination
        mounted = False
        if task.mount_from is not None and isinstance(destination, MountsBlobs):
            with suppress(RegistryError):
                mounted = destination.mount(task.node, task.mount_from)
        if mounted:
            self._mounted.append(task.size)
            self.changed.update(task.labels)
            return
        self._emit(events.PushAdded(task.size))
        self._push(task)

    def _push(self, task: BlobTask[Destination]) -> None:
        try:
            stored = blob_transfer.push_blob(
                task.node, task.source, task.destination, self._cancellation, self._emit
            )
        except NotFoundError as error:
            if (
                task.node.digest is None
                or not task.is_optional
                or blob_transfer.exists(task.node, task.source)
            ):
                raise
            self.absent[task.node.digest] = error
            return
        self._pushed.append(task.size - stored)
        self._resumed.append(stored)
        self.changed.update(task.labels)
