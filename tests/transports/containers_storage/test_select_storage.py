"""The storage that results from a reference and storage.conf."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bundler import transports
from bundler.config.settings import Settings
from bundler.config.storage_conf import StorageConfig, StorageConfPaths
from bundler.ports import OpenOptions
from bundler.transports.containers_storage.reference import StorageLocation
from bundler.transports.containers_storage.transport import TRANSPORT, select_storage
from tests.contracts.contents import publish, push_all
from tests.fakes.tars import TarStore

CONFIGURED = StorageConfig(Path("/root"), Path("/run"), "vfs", {"a": "b"})
SETTINGS = Settings(locate_storage=lambda: StorageConfPaths(CONFIGURED))


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (None, CONFIGURED),
        (StorageLocation(None, Path("/root")), StorageConfig(Path("/root"), Path("/run"), "vfs")),
        (StorageLocation(None, Path("/other")), StorageConfig(Path("/other"), Path("/run"), None)),
        (
            StorageLocation("overlay", Path("/other"), None, ("c=d",)),
            StorageConfig(Path("/other"), Path("/run"), "overlay", {"c": "d"}),
        ),
    ],
)
def test_configuration_supplies_what_the_reference_does_not_specify(location, expected):
    assert select_storage(location, lambda: SETTINGS) == expected


def test_complete_reference_needs_no_configuration():
    location = StorageLocation("vfs", Path("/other"), Path("/other-run"))
    assert select_storage(location, None) == StorageConfig(
        Path("/other"), Path("/other-run"), "vfs"
    )


def test_reference_without_a_storage_uses_the_configured_one(tmp_path):
    configured = StorageConfig(tmp_path / "root", tmp_path / "run", "vfs")
    options = OpenOptions(
        load_settings=lambda: Settings(locate_storage=lambda: StorageConfPaths(configured))
    )
    reference = transports.parse("containers-storage:example.com/app:1")
    store = TarStore()
    root = store.add_image()
    with closing(TRANSPORT.destination(reference, options)) as destination:
        push_all(destination, store)
        publish(destination, root, reference.name)
    with closing(TRANSPORT.source(reference, options)) as source:
        assert source.resolve(reference.name).size
    assert (tmp_path / "root/vfs-images/images.json").is_file()
