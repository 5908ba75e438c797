"""``containers-storage:[STORAGE]NAME``: the local image store of Podman, Buildah and CRI-O.

https://github.com/containers/storage/tree/v1.59.1/docs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.transports.containers_storage import reference as storage_reference
from bundler.transports.containers_storage.destination import StorageDestination
from bundler.transports.containers_storage.select_storage import select_storage
from bundler.transports.containers_storage.source import StorageSource
from bundler.transports.containers_storage.storage import open_storage

if TYPE_CHECKING:
    from bundler.ports import OpenOptions
    from bundler.transports.containers_storage.reference import StorageReference


class StorageTransport:
    """``containers-storage:``."""

    def parse(self, text: str, /) -> StorageReference:
        """Parse ``[STORAGE]NAME``."""
        return storage_reference.parse(text)

    def source(self, reference: StorageReference, options: OpenOptions, /) -> StorageSource:
        """Open a storage for reading."""
        config = select_storage(reference.location, options.settings)
        storage = open_storage(config, options.cancellation, write=False)
        return StorageSource(storage, options.emit)

    def destination(
        self, reference: StorageReference, options: OpenOptions, /
    ) -> StorageDestination:
        """Open a storage for writing, and create it if it does not exist."""
        config = select_storage(reference.location, options.settings)
        storage = open_storage(config, options.cancellation, write=True)
        return StorageDestination(storage, options)


TRANSPORT = StorageTransport()
