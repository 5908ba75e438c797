"""The temporary directories of a run."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler.errors import MalformedError
from tests.transports.containers_storage.sample_storage import NAME


def test_directories_of_killed_runs_are_removed_and_those_of_running_ones_stay(storage):
    with closing(storage.destination()):
        (mine,) = storage.root.glob(".airbundle-*")
        (storage.root / ".airbundle-dead" / "blobs").mkdir(parents=True)
        (storage.root / storage.driver / ".airbundle-dead" / "tree").mkdir(parents=True)
        with closing(storage.destination()):
            assert mine.is_dir()
            assert not (storage.root / ".airbundle-dead").exists()
            assert not (storage.root / storage.driver / ".airbundle-dead").exists()
    assert not list(storage.root.rglob(".airbundle-*"))


@pytest.mark.parametrize("parent", ["own ID", "missing"])
def test_chain_of_layers_with_a_cycle_or_a_gap_is_refused(storage, parent):
    storage.add_image()
    (layer,) = storage.read_records("layers")
    layer["parent"] = layer["id"] if parent == "own ID" else "f" * 64
    storage.write_records("layers", [layer])
    with pytest.raises(MalformedError):
        storage.source().resolve(NAME)
