"""``containers-storage:[STORAGE]NAME``: the local image store of Podman, Buildah and CRI-O.

https://github.com/containers/storage/tree/v1.59.1/docs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config.storage_conf import StorageConfig
from bundler.transports.containers_storage import reference as storage_reference
from bundler.transports.containers_storage.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.settings import Settings
    from bundler.ports import OpenOptions
    from bundler.transports.containers_storage.destination import StorageDestination
    from bundler.transports.containers_storage.reference import StorageLocation, StorageReference
    from bundler.transports.containers_storage.source import StorageSource


class StorageTransport:
    """``containers-storage:``."""

    def parse(self, text: str, /) -> StorageReference:
        """Parse ``[STORAGE]NAME``."""
        return storage_reference.parse(text)

    def source(self, reference: StorageReference, options: OpenOptions, /) -> StorageSource:
        """Open a storage for reading."""
        from bundler.transports.containers_storage.source import StorageSource  # noqa: PLC0415

        config = select_storage(reference.location, options.load_settings)
        storage = open_storage(config, options.cancellation, write=False)
        return StorageSource(storage)

    def destination(
        self, reference: StorageReference, options: OpenOptions, /
    ) -> StorageDestination:
        """Open a storage for writing, and create it if it does not exist."""
        from bundler.transports.containers_storage.destination import (  # noqa: PLC0415
            StorageDestination,
        )

        config = select_storage(reference.location, options.load_settings)
        storage = open_storage(config, options.cancellation, write=True)
        return StorageDestination(storage, options)


def select_storage(
    location: StorageLocation | None, load_settings: Callable[[], Settings]
) -> StorageConfig:
    """Return the directories and the driver of the storage at ``location``.

    Values that the reference does not specify come from storage.conf, which is read only if it is
    needed. The configured driver applies to the configured root directory only.

    Raises:
        ConfigError: storage.conf is invalid.
        UsageError: an option in the reference has no value.
    """
    if location is None:
        return load_settings().get_storage()
    run_root, driver = location.run_root, location.driver
    if run_root is None or driver is None:
        configured = load_settings().get_storage()
        run_root = run_root or configured.run_root
        if location.root == configured.root:
            driver = driver or configured.driver
    return StorageConfig(location.root, run_root, driver, location.parse_options())


TRANSPORT = StorageTransport()
