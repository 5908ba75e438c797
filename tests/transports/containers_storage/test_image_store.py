"""Moved names, images in use, and unused layers."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler.errors import ConflictError, NoSuchImageError, UsageError
from bundler.oci.digest import Digest
from tests.contracts import contents
from tests.contracts.contents import push_all
from tests.fakes.tars import TarStore, member, pack
from tests.transports.containers_storage.sample_storage import NAME, image_id


def test_name_moves_and_the_former_image_stays(storage):
    first, _ = storage.add_image(b"1")
    second, _ = storage.add_image(b"2")
    records = {record["digest"]: record for record in storage.read_records("images")}
    assert "names" not in records[first.digest.text]
    assert records[second.digest.text]["names"] == [NAME]
    with closing(storage.source()) as source:
        assert source.resolve_original(NAME).digest == second.digest
        assert source.tags() == [NAME]


def test_id_of_an_image_with_other_layers_is_refused(storage):
    store = TarStore()
    first, second = store.add_image(layers=[b"1"]), store.add_image(layers=[b"2"])
    image = image_id(store, first)
    storage.copy(store, first, NAME)
    with closing(storage.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(ConflictError) as caught:
            contents.publish(destination, second, f"example.com/other:1@{image}")
    assert caught.value.hint.endswith(f"containers-storage:@{image}")
    assert [record["names"] for record in storage.read_records("images")] == [[NAME]]


def test_delete_removes_layers_that_nothing_else_needs(storage):
    shared = pack(member("shared", b"s"))
    storage.add_tars(shared, pack(member("a", b"1")), name="example.com/a:1")
    storage.add_tars(shared, pack(member("b", b"1")), name="example.com/b:1")
    with closing(storage.destination()) as destination:
        destination.delete("example.com/a:1")
    with closing(storage.source()) as source:
        assert source.tags() == ["example.com/b:1"]
    assert {record["diff-digest"] for record in storage.read_records("layers")} == {
        Digest.of(tar).text for tar in (shared, pack(member("b", b"1")))
    }
    with closing(storage.destination()) as destination:
        destination.delete("example.com/b:1")
    assert storage.read_records("images") == storage.read_records("layers") == []
    left = [path for path in storage.root.rglob("*") if path.is_file() or path.is_symlink()]
    assert {path.name for path in left} <= {
        f"{kind}.{end}" for kind in ("images", "layers", "containers") for end in ("json", "lock")
    }


def test_delete_refuses_an_image_that_a_container_uses(storage):
    _, image = storage.add_image()
    container = {"id": "1" * 64, "names": ["busy"], "image": image, "layer": "2" * 64}
    storage.write_records("containers", [container])
    with closing(storage.destination()) as destination, pytest.raises(ConflictError) as caught:
        destination.delete(NAME)
    assert caught.value.hint.endswith("podman rm busy")
    assert storage.read_records("images")


def test_delete_refuses_a_mounted_image(storage):
    storage.add_image()
    directory = storage.run_root / f"{storage.driver}-layers"
    directory.mkdir(parents=True)
    (layer,) = storage.read_records("layers")
    mountpoints = f'[{{"id": "{layer["id"]}", "path": "/somewhere", "count": 1}}]'
    (directory / "mountpoints.json").write_text(mountpoints)
    with closing(storage.destination()) as destination, pytest.raises(ConflictError) as caught:
        destination.delete(NAME)
    assert "podman image unmount" in caught.value.hint
    assert storage.read_records("images")


def test_delete_of_a_missing_image_lists_the_names(storage):
    storage.add_image()
    with closing(storage.destination()) as destination, pytest.raises(NoSuchImageError) as caught:
        destination.delete("example.com/missing:1")
    assert NAME in caught.value.hint


def test_untag_keeps_the_image(storage):
    storage.add_image()
    with closing(storage.destination()) as destination:
        destination.untag(NAME)
    (image,) = storage.read_records("images")
    assert "names" not in image
    assert image["names-history"] == [NAME]


def test_untag_refuses_an_id(storage):
    _, image = storage.add_image()
    with closing(storage.destination()) as destination, pytest.raises(UsageError):
        destination.untag(f"@{image}")
