"""``containers-storage:`` keeps to the contracts, and to what a storage's other users expect."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bundler import transports
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.config.storage_conf import StorageConfig, StorageConfPaths
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import (
    CancelledError,
    ConflictError,
    DigestMismatchError,
    InvalidReferenceError,
    LockedError,
    MalformedError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.oci import manifest
from bundler.oci.digest import Digest
from bundler.ports import (
    Deletes,
    DeletesTags,
    HasSignatures,
    KeepsOriginalManifests,
    Node,
    OpenOptions,
    StoresSignatures,
    SynthesizesManifests,
)
from bundler.transports.containers_storage import layer_store, lockfile
from tests.contracts import contents
from tests.contracts.contents import push_all
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract, read
from tests.fakes.memory import MemoryStore
from tests.fakes.tars import TarStore, directory, hard_link, member, pack, symlink

DRIVERS = ("vfs", "overlay")
OPTIONS = OpenOptions(settings=None)


class Place:
    """One storage of a test."""

    def __init__(self, path, driver="vfs"):
        self.root, self.driver, self.run_root = path / "root", driver, path / "run"

    def reference(self, name="example.com/app:1"):
        place = f"[{self.driver}@{self.root}+{self.run_root}]"
        return transports.parse(f"containers-storage:{place}{name}")

    def source(self):
        reference = self.reference()
        return transports.open_source(reference, OPTIONS)

    def destination(self, options=OPTIONS):
        reference = self.reference()
        return transports.open_destination(reference, options)

    def copy(self, store, root, *names):
        with closing(self.destination()) as destination:
            push_all(destination, store)
            contents.publish(destination, root, *names)

    def add(self, *tars, name="example.com/app:1"):
        """Copy an image of ``tars`` in; its root."""
        store = MemoryStore()
        root = store.add_image(layers=tars)
        self.copy(store, root, name)
        return root

    def tree(self, *diff_ids):
        """Where the layer lies that is made of ``diff_ids``."""
        current = None
        for diff_id in diff_ids:
            current = layer_store.compute_chain_id(current, diff_id)
        if self.driver == "vfs":
            return self.root / "vfs/dir" / current
        return self.root / "overlay" / current / "diff"

    def records(self, kind):
        return json.loads((self.root / f"{self.driver}-{kind}" / f"{kind}.json").read_bytes())


# Layers are unpacked with their owners, who are root mostly.
UNPACKING = [pytest.param(driver, marks=pytest.mark.kernel("owners")) for driver in DRIVERS]


@pytest.fixture(params=UNPACKING)
def place(request, tmp_path):
    return Place(tmp_path, request.param)


class TestSource(SourceContract):
    new_store = TarStore
    keeps_bytes = False

    def name(self, name, root):
        return f"example.com/{name}:1"

    @pytest.fixture
    def filled(self, place):
        def fill(store):
            for name, root in store.names.items():
                place.copy(store, root, f"example.com/{name}:1")
            return place.source()

        return fill


class TestDestination(DestinationContract):
    new_store = TarStore
    takes_sha512 = False
    keeps_bytes = False
    begins_anew = True  # what waits to be unpacked is of one run

    def name(self, name, root):
        return f"example.com/{name}:1"

    @pytest.fixture
    def opened(self, place):
        return place.destination

    @pytest.fixture
    def source(self, place):
        def opened():
            with closing(place.destination()):
                return place.source()

        return opened


def test_says_what_it_can(place):
    place.add(pack(member("a", b"1")))
    assert isinstance(place.source(), SynthesizesManifests)
    assert isinstance(place.source(), KeepsOriginalManifests)
    with closing(place.destination()) as destination:
        assert isinstance(destination, Deletes)
        assert isinstance(destination, DeletesTags)
        assert not destination.capabilities.indexes


def test_a_layer_comes_back_byte_for_byte(place):
    tars = [
        pack(
            directory("etc", mode=0o700),
            member("etc/os-release", b"ID=test\n" * 5000, mode=0o640),
            hard_link("etc/again", "etc/os-release", mode=0o640),
            symlink("etc/soft", "os-release"),
            member("long/" + "n" * 150, b"x"),
            member("caf\udce9", b"not UTF-8"),
            member("empty"),
        ),
        pack(member("etc/.wh.soft"), member("late", b"2")) + bytes(20_000),
    ]
    root = place.add(*tars)
    with closing(place.source()) as source:
        found = source.resolve("example.com/app:1")
        parsed = manifest.parse(read(source, Node.of(found, "manifest")), found.media_type)
        assert [read(source, Node.of(layer, "layer")) for layer in parsed.layers] == tars
        assert {layer.media_type for layer in parsed.layers} == {
            "application/vnd.oci.image.layer.v1.tar"
        }
        assert source.stored_manifest("example.com/app:1").digest == root.digest


def test_the_stored_manifest_is_served_where_its_layers_can_be_read(place):
    store = TarStore()
    root = store.add_image(layers=[b"1"], compress=False)
    place.copy(store, root, "example.com/app:1")
    with closing(place.source()) as source:
        assert source.resolve("example.com/app:1").digest == root.digest


def test_an_image_is_found_by_name_id_and_digest(place):
    store = TarStore()
    root = store.add_image(layers=[b"1"])
    place.copy(store, root, "example.com/app:1")
    image = manifest.parse(store.blobs[root.digest], None).config.digest.hex
    with closing(place.source()) as source:
        wanted = source.resolve("example.com/app:1")
        for name in (
            f"@{image}",
            f"@{image[:12]}",
            image,
            f"example.com/app:1@{image}",
            f"example.com/app@{root.digest}",
        ):
            assert source.resolve(name) == wanted
        for name in (f"@{'0' * 64}", f"example.com/other@{image}", f"other@{root.digest}"):
            with pytest.raises(NotFoundError):
                source.resolve(name)


def test_the_beginning_of_an_id_goes_before_a_name(place):
    store = TarStore()
    root = store.add_image(layers=[b"1"])
    place.copy(store, root, "example.com/app:1")
    image = manifest.parse(store.blobs[root.digest], None).config.digest.hex
    other = TarStore()
    place.copy(other, other.add_image(layers=[b"2"]), image[:12])
    with closing(place.source()) as source:
        assert source.stored_manifest(image[:12]).digest == root.digest


def test_names_move_and_the_former_image_stays(place):
    first = place.add(pack(member("a", b"1")))
    second = place.add(pack(member("a", b"2")))
    records = {one["digest"]: one for one in place.records("images")}
    assert "names" not in records[first.digest.text]
    assert records[second.digest.text]["names"] == ["example.com/app:1"]
    with closing(place.source()) as source:
        assert source.stored_manifest("example.com/app:1").digest == second.digest
        assert source.tags() == ["example.com/app:1"]


def test_a_second_run_finds_layers_and_moves_nothing(place):
    store = TarStore()
    root = store.add_image(layers=[b"1", b"2"])
    place.copy(store, root, "example.com/app:1")
    with closing(place.destination()) as destination:
        assert all(destination.has(contents.node(store, digest)) for digest in store.blobs)
        contents.publish(destination, root, "example.com/other:1")
    (record,) = place.records("images")
    assert record["names"] == ["example.com/other:1", "example.com/app:1"]
    assert len(place.records("layers")) == 2


def test_a_layer_that_is_there_on_another_one_is_read_from_there(place):
    shared = pack(member("shared", b"s"))
    place.add(pack(member("a", b"1")), shared)
    store = MemoryStore()
    root = store.add_image(layers=[pack(member("b", b"2")), shared])
    with closing(place.destination()) as destination:
        for digest in store.blobs:
            if not destination.has(contents.node(store, digest)):
                contents.push(destination, store, digest)
        contents.publish(destination, root, "example.com/other:1")
    assert len(place.records("layers")) == 4
    assert (place.tree(Digest.of(pack(member("b", b"2"))), Digest.of(shared)) / "shared").is_file()


def test_deleting_removes_what_nothing_else_needs(place):
    shared = pack(member("shared", b"s"))
    place.add(shared, pack(member("a", b"1")), name="example.com/a:1")
    place.add(shared, pack(member("b", b"1")), name="example.com/b:1")
    with closing(place.destination()) as destination:
        destination.delete("example.com/a:1")
    with closing(place.source()) as source:
        assert source.tags() == ["example.com/b:1"]
    assert {one["diff-digest"] for one in place.records("layers")} == {
        Digest.of(tar).text for tar in (shared, pack(member("b", b"1")))
    }
    with closing(place.destination()) as destination:
        destination.delete("example.com/b:1")
    assert place.records("images") == place.records("layers") == []
    left = [path for path in place.root.rglob("*") if path.is_file() or path.is_symlink()]
    assert {path.name for path in left} <= {
        f"{kind}.{end}" for kind in ("images", "layers", "containers") for end in ("json", "lock")
    }


def test_an_image_that_a_container_needs_is_not_deleted(place):
    place.add(pack(member("a", b"1")))
    (image,) = place.records("images")
    folder = place.root / f"{place.driver}-containers"
    containers = [{"id": "1" * 64, "names": ["busy"], "image": image["id"], "layer": "2" * 64}]
    (folder / "containers.json").write_text(json.dumps(containers))
    with closing(place.destination()) as destination, pytest.raises(ConflictError, match="busy"):
        destination.delete("example.com/app:1")
    assert place.records("images")


def test_a_mounted_image_is_not_deleted(place):
    place.add(pack(member("a", b"1")))
    folder = place.run_root / f"{place.driver}-layers"
    folder.mkdir(parents=True)
    (layer,) = place.records("layers")
    mounts = [{"id": layer["id"], "path": "/somewhere", "count": 1}]
    (folder / "mountpoints.json").write_text(json.dumps(mounts))
    with closing(place.destination()) as destination, pytest.raises(ConflictError, match="mounted"):
        destination.delete("example.com/app:1")


def test_untagging_leaves_the_image(place):
    place.add(pack(member("a", b"1")))
    with closing(place.destination()) as destination:
        destination.untag("example.com/app:1")
    (image,) = place.records("images")
    assert "names" not in image
    assert image["names-history"] == ["example.com/app:1"]


def test_what_was_left_incomplete_is_removed(place):
    root = place.add(pack(member("a", b"1")))
    path = place.root / f"{place.driver}-layers/layers.json"
    values = json.loads(path.read_bytes())
    dead = {"id": "d" * 64, "parent": values[0]["id"], "flags": {"incomplete": True}}
    path.write_text(json.dumps([*values, dead]))
    with closing(place.destination()):
        assert place.records("layers") == values
    with closing(place.source()) as source:
        assert source.stored_manifest("example.com/app:1").digest == root.digest


def test_what_a_killed_run_left_is_swept_and_a_living_runs_is_not(place):
    with closing(place.destination()):
        (mine,) = place.root.glob(".airbundle-*")
        (place.root / ".airbundle-dead" / "blobs").mkdir(parents=True)
        with closing(place.destination()):
            assert mine.is_dir()
            assert not (place.root / ".airbundle-dead").exists()
    assert not list(place.root.glob(".airbundle-*"))


def test_a_layer_that_is_not_the_configs_leaves_nothing(place):
    store = MemoryStore()
    root = store.add_image(layers=[pack(member("a", b"1"))])
    parsed = json.loads(store.blobs[root.digest])
    other = store.add_blob(gzip.compress(pack(member("a", b"2")), mtime=0))
    parsed["layers"][0] |= {"digest": other.text, "size": len(store.blobs[other])}
    raw = json.dumps(parsed).encode()
    bad = type(root)(root.media_type, store.add_blob(raw), len(raw))
    with closing(place.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(DigestMismatchError):
            contents.publish(destination, bad, "example.com/app:1")
    assert not (place.root / f"{place.driver}-layers/layers.json").exists()
    assert not list(place.tree(Digest.of(b"")).parent.parent.glob("*/diff"))


def test_an_artifact_is_refused(place):
    store = MemoryStore()
    root = store.add_artifact()
    with closing(place.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(UnsupportedError, match="not a container image"):
            contents.publish(destination, root, "example.com/app:1")


def test_a_name_with_another_digest_is_refused(place):
    store = TarStore()
    root = store.add_image()
    with closing(place.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(ConflictError):
            contents.publish(destination, root, f"example.com/app@{Digest.of(b'')}")


def test_an_id_that_another_image_has_is_refused(place):
    store = TarStore()
    first, second = store.add_image(layers=[b"1"]), store.add_image(layers=[b"2"])
    image = manifest.parse(store.blobs[first.digest], None).config.digest.hex
    place.copy(store, first, "example.com/app:1")
    with closing(place.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(ConflictError, match=image):
            contents.publish(destination, second, f"example.com/other:1@{image}")


def test_a_locked_storage_is_waited_for_and_then_named(place, monkeypatch):
    place.add(pack(member("a", b"1")))
    monkeypatch.setattr(lockfile, "TIMEOUT", 0.2)
    lock = place.root / f"{place.driver}-images/images.lock"
    with lockfile.acquire_lock(lock, Cancellation(), write=True):
        with pytest.raises(LockedError, match=r"images\.lock: locked by another process"):
            place.source().resolve("example.com/app:1")
        stop = Cancellation()
        stop.request()
        with pytest.raises(CancelledError), lockfile.acquire_lock(lock, stop, write=False):
            pass


def test_a_lock_that_is_let_go_is_taken(place):
    place.add(pack(member("a", b"1")))
    lock = place.root / f"{place.driver}-images/images.lock"
    taken = threading.Event()

    def hold():
        with lockfile.acquire_lock(lock, Cancellation(), write=True):
            taken.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(5)
    assert place.source().tags() == ["example.com/app:1"]
    thread.join()


def test_each_change_leaves_another_token(place):
    tokens = set()
    for data in (b"1", b"2"):
        place.add(pack(member("a", data)))
        token = (place.root / f"{place.driver}-layers/layers.lock").read_bytes()
        assert len(token) == 64
        tokens.add(token)
    assert len(tokens) == 2


def test_members_of_records_that_are_not_known_survive(place):
    place.add(pack(member("a", b"1")))
    path = place.root / f"{place.driver}-layers/layers.json"
    values = json.loads(path.read_bytes())
    values[0]["from-the-future"] = {"x": [1]}
    path.write_text(json.dumps(values))
    place.add(pack(member("a", b"2")))
    assert place.records("layers")[0]["from-the-future"] == {"x": [1]}


@pytest.mark.parametrize("text", ["../../etc", "a/b", "", "A" * 64, "1" * 63])
def test_a_record_with_an_id_that_leads_elsewhere_is_refused(place, text):
    place.add(pack(member("a", b"1")))
    path = place.root / f"{place.driver}-images/images.json"
    values = json.loads(path.read_bytes())
    values[0]["id"] = text
    path.write_text(json.dumps(values))
    with pytest.raises(MalformedError):
        place.source().resolve("example.com/app:1")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("[vfs@/r+/run]app", "[vfs@/r+/run]docker.io/library/app:latest"),
        ("[/r]h:5/app:1", "[/r]h:5/app:1"),
        ("[overlay@/r:overlay.mount_program=/x,a=b]app:1", None),
        ("app", "docker.io/library/app:latest"),
        ("cafe", "cafe"),
        ("@" + "a" * 64, "@" + "a" * 64),
        ("a" * 64, "@" + "a" * 64),
        ("app:1@abc", "docker.io/library/app:1@abc"),
        ("app@sha256:" + "b" * 64, "docker.io/library/app@sha256:" + "b" * 64),
    ],
)
def test_references_come_back_as_they_were(text, whole):
    reference = transports.parse(f"containers-storage:{text}")
    if whole is not None:
        assert str(reference) == f"containers-storage:{whole}"
    assert transports.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text", ["", "[vfs@/r]", "[]app", "[@/r]app", "[vfs@]app", "[r]app", "[/r+x]app", "[/r", "app@",
             "app@xy", "APP", "[vfs@/r]app@zz"],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"containers-storage:{text}")


@pytest.mark.kernel("owners")
def test_the_settings_say_where_the_storage_is(tmp_path):
    usual = StorageConfig(tmp_path / "root", tmp_path / "run", "vfs")
    options = OpenOptions(settings=Settings(storage=StorageConfPaths(usual)))
    transport = transports.find_transport("containers-storage")
    reference = transports.parse("containers-storage:example.com/app:1")
    store = TarStore()
    root = store.add_image()
    with closing(transport.destination(reference, options)) as destination:
        push_all(destination, store)
        contents.publish(destination, root, reference.name)
    with closing(transport.source(reference, options)) as source:
        assert source.resolve(reference.name).size
    assert (tmp_path / "root/vfs-images/images.json").is_file()


@pytest.mark.kernel("owners")
def test_the_driver_that_was_used_before_is_used(tmp_path):
    Place(tmp_path, "vfs").add(pack(member("a", b"1")))
    options = OpenOptions(
        settings=Settings(storage=StorageConfPaths(StorageConfig(Path("/x"), tmp_path)))
    )
    reference = transports.parse(f"containers-storage:[{tmp_path}/root]example.com/app:1")
    transport = transports.find_transport("containers-storage")
    with closing(transport.source(reference, options)) as source:
        assert source.tags() == ["example.com/app:1"]
    (tmp_path / "root/overlay").mkdir()
    with pytest.raises(UsageError, match="several drivers"):
        transport.source(reference, options)


def test_reading_makes_no_storage(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        Place(tmp_path).source()
    assert not os.listdir(tmp_path)  # noqa: PTH208


def test_a_driver_that_nobody_wrote_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="zfs"):
        Place(tmp_path, "zfs").destination()


def test_a_push_whose_digest_is_made_is_kept(place):
    with closing(place.destination()) as destination:
        reader = VerifiedReader(contents.Chunks(b"made"), "test", digest=None, size=None)
        assert destination.push(Node("layer", "x/y"), reader).digest == Digest.of(b"made")


def test_signatures_are_kept_with_their_manifest(place):
    store = TarStore()
    root = store.add_image(compress=False)
    with closing(place.destination()) as destination:
        assert isinstance(destination, StoresSignatures)
        push_all(destination, store)
        destination.push_signatures(root.digest, [b"one", b"another"])
        contents.publish(destination, root, "example.com/app:1")
    with closing(place.source()) as source:
        assert isinstance(source, HasSignatures)
        assert source.signatures(root.digest) == [b"one", b"another"]
        assert source.signatures(Digest.of(b"")) == []


def test_signatures_that_stay_behind_are_told(place):
    store = TarStore()
    root = store.add_image()
    with closing(place.destination()) as destination:
        push_all(destination, store)
        destination.push_signatures(root.digest, [b"one"])
        contents.publish(destination, root, "example.com/app:1")
    told = []
    reference = place.reference()
    transport = transports.find_transport("containers-storage")
    with closing(transport.source(reference, replace(OPTIONS, emit=told.append))) as source:
        assert source.signatures(source.resolve(reference.name).digest) == []
    assert "signatures are not copied" in told[0].text
