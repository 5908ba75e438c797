"""Records of images and layers, and the files of items."""

from __future__ import annotations

import pytest

from bundler.cancel import Cancellation
from bundler.errors import MalformedError
from bundler.transports.containers_storage import metadata
from bundler.transports.containers_storage.metadata import ImageRecord, RecordStore
from tests.transports.containers_storage.sample_storage import NAME


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("manifest", "manifest"),
        ("signatures", "signatures"),
        ("sha256:ab", "=c2hhMjU2OmFi"),
        ("../../etc", "=Li4vLi4vZXRj"),
    ],
)
def test_item_keys_are_encoded_as_by_other_tools(key, name):
    assert metadata.encode_item_key(key) == name


def test_unknown_members_of_records_are_preserved(storage):
    storage.add_image(b"1")
    records = storage.read_records("layers")
    records[0]["from-the-future"] = {"x": [1]}
    storage.write_records("layers", records)
    storage.add_image(b"2")
    assert storage.read_records("layers")[0]["from-the-future"] == {"x": [1]}


@pytest.mark.parametrize("text", ["../../etc", "a/b", "", "A" * 64, "1" * 63])
def test_record_with_an_invalid_id_is_refused(storage, text):
    storage.add_image()
    records = storage.read_records("images")
    records[0]["id"] = text
    storage.write_records("images", records)
    with pytest.raises(MalformedError):
        storage.source().resolve(NAME)


def test_transaction_writes_only_the_file_that_changed(tmp_path):
    (tmp_path / "layers.json").write_text('[{"id":"a"}]')
    (tmp_path / "volatile-layers.json").write_text('[{"id":"b"}]')
    before = (tmp_path / "layers.json").stat().st_ino
    store = RecordStore(tmp_path, "layers", ImageRecord, Cancellation())
    with store.edit() as changes:
        changes.remove(["b"])
        changes.save()
    assert (tmp_path / "layers.json").stat().st_ino == before
    assert (tmp_path / "volatile-layers.json").read_text() == "[]"


def test_records_of_a_missing_directory_are_empty(tmp_path):
    store = RecordStore(tmp_path / "missing", "images", ImageRecord, Cancellation())
    assert store.read() == []


@pytest.mark.parametrize("raw", ["{}", "[1]", "[", '"text"'])
def test_invalid_list_of_records_is_refused(tmp_path, raw):
    (tmp_path / "images.json").write_text(raw)
    with pytest.raises(MalformedError):
        RecordStore(tmp_path, "images", ImageRecord, Cancellation()).read()
