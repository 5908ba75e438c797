"""Combine the storage in a reference with storage.conf and the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config.storage_conf import StorageConfig

if TYPE_CHECKING:
    from bundler.config.settings import Settings
    from bundler.transports.containers_storage.reference import StorageLocation


def select_storage(location: StorageLocation | None, settings: Settings) -> StorageConfig:
    """Return the directories and the driver of the storage at ``location``.

    Values that the reference does not specify come from storage.conf, which is read only if it is
    needed. The configured driver applies to the configured root directory only.

    Raises:
        ConfigError: storage.conf is invalid.
        UsageError: an option in the reference has no value.
    """
    if location is None:
        return settings.get_storage()
    if location.run_root is not None and location.driver is not None:
        return StorageConfig(
            location.root, location.run_root, location.driver, location.parse_options()
        )
    configured = settings.get_storage()
    return StorageConfig(
        location.root,
        location.run_root or configured.run_root,
        location.driver or (configured.driver if location.root == configured.root else None),
        location.parse_options(),
    )
