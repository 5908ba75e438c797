"""Read the contents of the layers of images, each layer once, in parallel."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Self, cast

from bundler.bundle.audit.layers.contents import LayerContents, read_layer
from bundler.bundle.audit.layers.encoding import decode
from bundler.bundle.audit.layers.reader_processes import ReaderProcesses
from bundler.copy.parallel import run_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.cancel import Cancellation
    from bundler.errors import BundlerError
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source


MIN_SIZE = 32 * 1024 * 1024
"""The size in bytes of layers that are worth the start of processes, which takes 0.2 s each."""


class LayerReader:
    """Reads layers, one per core at a time. Closed by its context. For one thread."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._processes = ReaderProcesses(cancellation)

    def read(self, layers: Iterable[tuple[Source, Descriptor]]) -> dict[Digest, LayerContents]:
        """Read layers, which may be listed several times; return the contents of each.

        Raises:
            BundlerError: a layer is missing, damaged or beyond a limit, see ``scan_layer``.
        """
        return cast("dict[Digest, LayerContents]", self.try_read(layers, ()))

    def try_read(
        self,
        layers: Iterable[tuple[Source, Descriptor]],
        collected: tuple[type[BundlerError], ...],
    ) -> Mapping[Digest, LayerContents | BundlerError]:
        """Read layers as ``read`` does, but return errors of the classes ``collected``."""
        unique = {layer.digest: (source, layer) for source, layer in layers}

        sizes = [layer.size for _, layer in unique.values()]
        cores = len(os.sched_getaffinity(0))
        in_processes = min(cores, len(sizes)) > 1 and sum(sizes) >= MIN_SIZE

        def read_one(digest: Digest) -> LayerContents | BundlerError:
            try:
                if in_processes:
                    return decode(self._processes.read(*unique[digest]), digest)
                return read_layer(*unique[digest], self._cancellation)
            except collected as error:
                return error.without_traceback()

        # The largest first, so that no core waits for it at the end.
        order = sorted(unique, key=lambda digest: unique[digest][1].size, reverse=True)
        tasks = [partial(read_one, digest) for digest in order]
        with ThreadPoolExecutor(cores, "layers") as executor:
            return dict(zip(order, run_all(executor, tasks, self._cancellation), strict=True))

    def close(self) -> None:
        """End the processes."""
        self._processes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
