"""Read the contents of the layers of images, each layer once, in parallel."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Self, cast

from bundler.bundle.audit.layers.contents import LayerContents, read_layer
from bundler.bundle.audit.layers.encoding import decode, encode
from bundler.bundle.audit.layers.verify_layer import verify_layer
from bundler.copy.parallel import run_all
from bundler.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.bundle.audit.layers.contents_cache import ContentsCache
    from bundler.bundle.audit.layers.reader_processes import ReaderProcesses
    from bundler.cancel import Cancellation
    from bundler.errors import BundlerError
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source


MIN_SIZE = 32 * 1024 * 1024
"""The size in bytes of layers that are worth the start of processes, which takes 0.2 s each."""


class LayerReader:
    """Reads layers, one per core at a time. Closed by its context. For one thread."""

    def __init__(self, cancellation: Cancellation, cache: ContentsCache | None = None) -> None:
        """``cache`` keeps the contents of layers for other readers; None: nothing is kept."""
        self._cancellation = cancellation
        self._cache = cache
        self._processes: ReaderProcesses | None = None
        """None: none were needed so far."""

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
        kept = {}
        if self._cache is not None:
            loaded = ((digest, self._cache.load(digest)) for digest in unique)
            kept = {digest: contents for digest, contents in loaded if contents is not None}
        sizes = [layer.size for digest, (_, layer) in unique.items() if digest not in kept]
        cores = len(os.sched_getaffinity(0))
        processes = None
        if min(cores, len(sizes)) > 1 and sum(sizes) >= MIN_SIZE:
            from bundler.bundle.audit.layers.reader_processes import (  # noqa: PLC0415 - not if kept
                ReaderProcesses,
            )

            self._processes = self._processes or ReaderProcesses(self._cancellation)
            processes = self._processes

        def read_one(digest: Digest) -> LayerContents | BundlerError:
            try:
                if digest in kept:
                    try:
                        verify_layer(*unique[digest], self._cancellation)
                    except IntegrityError:
                        pass  # the error is that of a layer whose contents are not kept
                    else:
                        return kept[digest]
                return self._read_one(*unique[digest], processes)
            except collected as error:
                return error.without_traceback()

        # The largest first, so that no core waits for it at the end.
        order = sorted(unique, key=lambda digest: unique[digest][1].size, reverse=True)
        tasks = [partial(read_one, digest) for digest in order]
        with ThreadPoolExecutor(cores, "layers") as executor:
            return dict(zip(order, run_all(executor, tasks, self._cancellation), strict=True))

    def _read_one(
        self, source: Source, layer: Descriptor, processes: ReaderProcesses | None
    ) -> LayerContents:
        """Decompress and read a layer, and keep its contents."""
        if processes is not None:
            data = processes.read(source, layer)
            contents = decode(data, layer.digest)
        else:
            contents = read_layer(source, layer, self._cancellation)
            data = b"" if self._cache is None else encode(contents)
        if self._cache is not None:
            self._cache.store(layer.digest, data)
        return contents

    def close(self) -> None:
        """End the processes."""
        if self._processes is not None:
            self._processes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
