"""The lock: written the same each time, read strictly, compared, and followed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.bundle.manifest import load as manifest
from bundler.bundle.manifest import lockfile as locks
from bundler.bundle.manifest.expand import LockedReferrer, Wanted
from bundler.bundle.manifest.load import ManifestFile
from bundler.bundle.manifest.lockfile import Lock, LockedImage
from bundler.errors import BundlerError, InvalidBundleManifestError, NotFoundError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform

INDEX = "application/vnd.oci.image.index.v1+json"
TIME = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def digest(letter: str) -> Digest:
    return Digest("sha256:" + letter * 64)


def image(reference: str, letter: str = "a", **more: object) -> LockedImage:
    plain = LockedImage(
        reference=reference,
        source=f"docker://{reference}",
        digest=digest(letter),
        media_type=INDEX,
        size=1234,
        platforms=(),
        index="all",
        replaces=None,
        referrers=(),
        rename=None,
        origin="m.yaml:3",
        time=TIME,
    )
    return replace(plain, **more)


def lock(*images: LockedImage) -> Lock:
    return Lock("plant-7", (ManifestFile("m.yaml", digest("f")),), images)


FULL = image(
    "quay.io/x/app:1.10",
    platforms=(Platform("linux", "amd64"), Platform("linux", "arm", "v7")),
    index="strip",
    replaces=digest("b"),
    referrers=(
        LockedReferrer(digest("c")),
        LockedReferrer(digest("d"), f"sha256-{'a' * 64}.sig"),
    ),
    rename="infra/app:1.10",
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plant.yaml", "plant.lock.yaml"),
        ("plant.v2.yml", "plant.v2.lock.yaml"),
        ("images.txt", "images.txt.lock.yaml"),
    ],
)
def test_the_lock_lies_beside_its_manifest(name, expected):
    assert locks.lock_path(Path("a") / name) == Path("a") / expected


def test_what_was_written_is_read_again(tmp_path):
    written = lock(
        FULL,
        image("docker.io/library/nginx:1"),
        image("localhost/layout:app", source=f"oci:{tmp_path}/layout:app"),
    )
    path = tmp_path / "m.lock.yaml"
    locks.write(path, written)
    assert locks.read(path) == written
    assert [child.name for child in tmp_path.iterdir()] == ["m.lock.yaml"]


def test_the_file_is_plain_to_read_and_the_same_each_time(tmp_path):
    assert locks.dump(lock(FULL), tmp_path) == locks.dump(lock(FULL), tmp_path)
    assert locks.dump(lock(image("quay.io/x/app:1.10")), tmp_path).decode() == (
        "# What the bundle manifest stood for when it was locked. Written by `airbundle lock`;\n"
        "# `airbundle export --locked` makes a bundle of exactly this.\n"
        "format: airbundle/lock/v1\n"
        "name: plant-7\n"
        "files:\n"
        "- path: m.yaml\n"
        f"  digest: sha256:{'f' * 64}\n"
        "images:\n"
        "- reference: quay.io/x/app:1.10\n"
        f"  digest: sha256:{'a' * 64}\n"
        f"  mediaType: {INDEX}\n"
        "  size: 1234\n"
        "  origin: m.yaml:3\n"
        "  time: '2026-01-31T12:00:00Z'\n"
    )


def test_a_local_place_is_written_relative_to_the_lock(tmp_path):
    local = image("localhost/a:b", source=f"oci:{tmp_path}/a:b")
    assert b"source: oci:../a:b\n" in locks.dump(lock(local), tmp_path / "sub")


WORD = st.from_regex(r"\A[a-z][a-z0-9]{0,8}\Z")
DIGESTS = st.sampled_from("0123456789abcdef").map(digest)
IMAGES = st.builds(
    LockedImage,
    reference=st.builds("{}.io/{}:{}".format, WORD, WORD, WORD | st.just("1.10")),
    source=st.just(""),
    digest=DIGESTS,
    media_type=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
    size=st.integers(0, 2**40),
    platforms=st.lists(
        st.sampled_from([Platform("linux", "amd64"), Platform("linux", "arm", "v7")]), unique=True
    ).map(tuple),
    index=st.sampled_from(["strip", "sparse", "all"]),
    replaces=st.none() | DIGESTS,
    referrers=st.lists(st.builds(LockedReferrer, DIGESTS, st.none() | WORD), max_size=2).map(tuple),
    rename=st.none() | WORD,
    origin=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
    time=st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
).map(
    lambda made: replace(
        made,
        source=f"docker://{made.reference}",
        index=made.index if made.platforms else "all",
    )
)


@given(st.lists(IMAGES, max_size=4, unique_by=lambda made: made.reference))
def test_any_lock_survives_the_way_to_the_file_and_back(tmp_path_factory, images):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "any.lock.yaml"
    path.write_bytes(locks.dump(lock(*images), folder))
    assert locks.read(path) == lock(*images)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("format: airbundle/lock/v1", "format: airbundle/lock/v2", ":3:9: `format`: expected"),
        ("name: plant-7", "nmae: plant-7", ":4:1: unknown key `nmae`; did you mean `name`?"),
        ("size: 1234", "size: many", ":12:9: `size`: expected a whole number, got 'many'"),
        ("size: 1234", "size: -1", ":12:9: `size`: expected at least 0, got '-1'"),
        (f"sha256:{'a' * 64}", "sha256:abc", "expected a digest such as sha256:"),
        ("quay.io/x/app:1.10", "quay.io/X:1.10", ":9:3: 'quay.io/X:1.10': a repository's name"),
        ("2026-01-31T", "2026-02-31T", ":9:3: day is out of range for month"),
        ("  origin: m.yaml:3\n", "", ":9:3: `images`: `origin` is missing"),
    ],
)
def test_a_lock_that_was_damaged_by_hand_says_where(tmp_path, before, after, expected):
    text = locks.dump(lock(image("quay.io/x/app:1.10")), tmp_path).decode()
    path = tmp_path / "m.lock.yaml"
    path.write_text(text.replace(before, after))
    with pytest.raises(InvalidBundleManifestError) as caught:
        locks.read(path)
    assert expected in str(caught.value)
    assert "airbundle lock" in (caught.value.hint or "")


def test_an_image_that_is_locked_twice_is_a_mistake(tmp_path):
    path = tmp_path / "m.lock.yaml"
    locks.write(path, lock(image("quay.io/x/app:1"), image("quay.io/x/app:1", "b")))
    with pytest.raises(InvalidBundleManifestError, match=r"quay\.io/x/app:1 is here already"):
        locks.read(path)


def test_a_lock_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        locks.read(tmp_path / "m.lock.yaml")


def test_a_lock_that_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "m.lock.yaml"
    path.mkdir()
    with pytest.raises(BundlerError):
        locks.write(path, lock())
    assert list(tmp_path.iterdir()) == [path]


def test_what_moved_is_new_or_gone_is_told(tmp_path):
    old = lock(image("r.io/same:1"), image("r.io/moved:1"), image("r.io/gone:1"))
    new = lock(image("r.io/moved:1", "b"), image("r.io/new:1"), image("r.io/same:1"))
    changes = locks.compare(old, new)
    assert changes.moved == ("r.io/moved:1",)
    assert changes.new == ("r.io/new:1",)
    assert changes.gone == ("r.io/gone:1",)


def test_what_has_not_moved_keeps_its_time():
    later = TIME.replace(year=2027)
    old = lock(image("r.io/same:1"), image("r.io/moved:1"))
    new = lock(image("r.io/same:1", time=later), image("r.io/moved:1", "b", time=later))
    assert [locked.time for locked in locks.keep_times(old, new).images] == [TIME, later]


def test_a_locked_image_is_asked_for_by_the_digest_its_source_has():
    plain, stripped, local = lock(
        image("r.io/a:1"), FULL, image("localhost/a:b", source="oci:a:b")
    ).wanted()
    assert (plain.source, plain.pin, plain.result) == (
        f"docker://r.io/a@{digest('a')}",
        digest("a"),
        digest("a"),
    )
    assert (plain.reference, plain.index, plain.referrers) == ("r.io/a:1", "all", False)
    assert plain.locked_referrers == ()
    assert (stripped.source, stripped.pin, stripped.result) == (
        f"docker://quay.io/x/app@{digest('b')}",
        digest("b"),
        digest("a"),
    )
    assert (stripped.platforms, stripped.rename) == (FULL.platforms, "infra/app:1.10")
    assert (stripped.referrers, stripped.locked_referrers) == (True, FULL.referrers)
    assert (local.source, local.pin) == ("oci:a:b", digest("a"))


def test_a_wanted_image_is_locked_with_what_it_turned_out_to_be():
    wanted = Wanted(
        reference="r.io/a:1",
        source="docker://r.io/a:1",
        platforms=(Platform("linux", "amd64"),),
        index="strip",
        referrers=True,
        rename="a:1",
        origin="m.yaml:3",
    )
    locked = LockedImage.of(
        wanted,
        root=Descriptor(INDEX, digest("a"), 5),
        replaces=digest("b"),
        referrers=(LockedReferrer(digest("c")),),
        time=TIME,
    )
    (again,) = lock(locked).wanted()
    assert (again.platforms, again.index, again.rename, again.origin) == (
        wanted.platforms,
        "strip",
        "a:1",
        "m.yaml:3",
    )


def test_a_changed_manifest_is_noticed_whichever_file_it_was(tmp_path):
    main, included = tmp_path / "m.yaml", tmp_path / "list.txt"
    main.write_text("include: [list.txt]\nimages: [a:1]")
    included.write_text("b:1\n")

    def load() -> manifest.BundleManifest:
        return manifest.load(main, environment={})

    held = Lock("m", load().files, ())
    assert held.changed_files(load()) == ()
    included.write_text("b:2\n")
    assert held.changed_files(load()) == ("list.txt",)
    main.write_text("images: [a:1]")
    assert held.changed_files(load()) == ("m.yaml", "list.txt")
