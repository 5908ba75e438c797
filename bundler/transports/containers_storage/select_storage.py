"""Which storage a reference means, after storage.conf and the environment had their say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config.storage_conf import Storage as Configured
from bundler.errors import UsageError
from bundler.transports.containers_storage import storage

if TYPE_CHECKING:
    from bundler.ports import OpenOptions
    from bundler.transports.containers_storage.reference import StorageLocation
    from bundler.transports.containers_storage.storage import Storage


def opened(place: StorageLocation | None, options: OpenOptions, *, write: bool) -> Storage:
    """The storage at ``place``; None: the one that storage.conf names.

    Raises:
        ConfigError, NotFoundError, UnsupportedError, UsageError, MediumError: it cannot be used.
    """
    chosen = _chosen(place, options)
    return storage.opened(
        chosen.root,
        chosen.run_root,
        chosen.driver,
        chosen.options,
        options.cancellation,
        write=write,
    )


def _chosen(place: StorageLocation | None, options: OpenOptions) -> Configured:
    """What a reference says goes first; what it does not say is asked for only then."""
    if place is not None and place.run_root is not None and place.driver is not None:
        return Configured(place.root, place.run_root, place.driver, _parsed(place.options))
    usual = options.settings.storage()
    if place is None:
        return usual
    return Configured(
        place.root,
        place.run_root or usual.run_root,
        place.driver or (usual.driver if place.root == usual.root else None),
        _parsed(place.options),
    )


def _parsed(options: tuple[str, ...]) -> dict[str, str]:
    """``overlay.mount_program=…`` and the like, by their names.

    Raises:
        UsageError: an option without a value.
    """
    found = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals:
            raise UsageError(
                f"containers-storage: the option {option[:80]!r} has no value",
                hint="write it as overlay.mount_program=/usr/bin/fuse-overlayfs",
            )
        found[key.strip().removeprefix("storage.").lower()] = value.strip()
    return found
