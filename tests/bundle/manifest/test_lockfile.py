"""Lock files: deterministic writing, strict parsing, comparison, and use."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bundler import transports
from bundler.bundle.manifest import load as manifest, lockfile as locks
from bundler.bundle.manifest.expand import expand
from bundler.bundle.manifest.load import ManifestFile
from bundler.bundle.manifest.lockfile import LockFile
from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest, LockedRoot, PinnedReferrer
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import BundlerError, InvalidBundleManifestError, NotFoundError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.ports import OpenOptions
from tests.fakes import images

INDEX = "application/vnd.oci.image.index.v1+json"
TIME = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def digest(letter: str) -> Digest:
    return Digest("sha256:" + letter * 64)


def image(
    reference: str,
    letter: str = "a",
    *,
    source: str | None = None,
    replaces: Digest | None = None,
    time: datetime = TIME,
    **more: object,
) -> ImageRequest:
    """Return a request as a lock file contains it."""
    named = ImageReference.parse(reference)
    pin = replaces or digest(letter)
    plain = ImageRequest(
        transports.parse(source or f"docker://{named.repository}@{pin}"),
        named,
        selection=PlatformSelection(index="all"),
        referrers=(),
        expected_root=pin,
        locked_root=LockedRoot(Descriptor(INDEX, digest(letter), 1234), replaces, time),
        origin="m.yaml:3",
    )
    return replace(plain, **more)


def lock(*images: ImageRequest) -> LockFile:
    return LockFile("plant-7", (ManifestFile("m.yaml", digest("f")),), images)


FULL = image(
    "quay.io/x/app:1.10",
    selection=PlatformSelection(
        (Platform("linux", "amd64"), Platform("linux", "arm", "v7")), "strip"
    ),
    replaces=digest("b"),
    referrers=(
        PinnedReferrer(digest("c")),
        PinnedReferrer(digest("d"), f"sha256-{'a' * 64}.sig"),
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
def test_lock_file_is_beside_its_manifest(name, expected):
    assert locks.find_lock_path(Path("a") / name) == Path("a") / expected


def test_lock_file_that_was_written_can_be_read(tmp_path):
    written = lock(
        FULL,
        image("docker.io/library/nginx:1"),
        image("localhost/layout:app", source=f"oci:{tmp_path}/layout:app"),
    )
    path = tmp_path / "m.lock.yaml"
    locks.write(path, written)
    assert locks.read(path) == written
    assert [child.name for child in tmp_path.iterdir()] == ["m.lock.yaml"]


def test_lock_file_is_readable_and_deterministic(tmp_path):
    assert locks.dump(lock(FULL), tmp_path) == locks.dump(lock(FULL), tmp_path)
    assert locks.dump(lock(image("quay.io/x/app:1.10")), tmp_path).decode() == (
        "# This file pins each image of a bundle manifest to a digest. `airbundle lock` writes it\n"
        "# and `airbundle export --locked` exports exactly these images.\n"
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


def test_local_source_is_written_relative_to_the_lock_file(tmp_path):
    local = image("localhost/a:b", source=f"oci:{tmp_path}/a:b")
    assert b"source: oci:../a:b\n" in locks.dump(lock(local), tmp_path / "sub")


WORD = st.from_regex(r"\A[a-z][a-z0-9]{0,8}\Z")
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
DIGESTS = st.sampled_from("0123456789abcdef").map(digest)
PLATFORMS = st.lists(
    st.sampled_from([Platform("linux", "amd64"), Platform("linux", "arm", "v7")]),
    unique=True,
    min_size=1,
).map(tuple)
LOCKED = st.builds(
    LockedRoot,
    st.builds(Descriptor, TEXT, DIGESTS, st.integers(0, 2**40)),
    st.none() | DIGESTS,
    st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)


@st.composite
def locked_images(draw) -> ImageRequest:
    locked = draw(LOCKED)
    plain = image(
        draw(st.builds("{}.io/{}:{}".format, WORD, WORD, WORD | st.just("1.10"))),
        replaces=locked.replaces or locked.root.digest,
    )
    return replace(
        plain,
        locked_root=locked,
        selection=draw(
            st.builds(PlatformSelection, PLATFORMS, st.sampled_from(["strip", "sparse", "all"]))
            | st.just(PlatformSelection(index="all"))
        ),
        referrers=tuple(
            draw(st.lists(st.builds(PinnedReferrer, DIGESTS, st.none() | WORD), max_size=2))
        ),
        rename=draw(st.none() | WORD),
        origin=draw(TEXT),
    )


@given(st.lists(locked_images(), max_size=4, unique_by=lambda request: request.display_name))
def test_any_lock_file_can_be_written_and_read(tmp_path_factory, images):
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
        ("quay.io/x/app:1.10", "quay.io/X:1.10", ":9:3: 'quay.io/X:1.10': the repository name"),
        ("2026-01-31T", "2026-02-31T", ":9:3: time: '2026-02-31T"),
        ("  origin: m.yaml:3\n", "", ":9:3: `images`: `origin` is missing"),
    ],
)
def test_mistake_in_lock_file_is_reported_with_its_position(tmp_path, before, after, expected):
    text = locks.dump(lock(image("quay.io/x/app:1.10")), tmp_path).decode()
    path = tmp_path / "m.lock.yaml"
    path.write_text(text.replace(before, after))
    with pytest.raises(InvalidBundleManifestError) as caught:
        locks.read(path)
    assert expected in str(caught.value)
    assert "airbundle lock" in (caught.value.hint or "")


def test_lock_file_that_lists_an_image_twice_is_refused(tmp_path):
    path = tmp_path / "m.lock.yaml"
    locks.write(path, lock(image("quay.io/x/app:1"), image("quay.io/x/app:1", "b")))
    with pytest.raises(InvalidBundleManifestError) as raised:
        locks.read(path)
    (finding,) = raised.value.findings
    assert finding.endswith("quay.io/x/app:1 is listed twice")


def test_missing_lock_file_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        locks.read(tmp_path / "m.lock.yaml")


def test_failed_write_leaves_former_lock_file_unchanged(tmp_path):
    path = tmp_path / "m.lock.yaml"
    path.mkdir()
    with pytest.raises(BundlerError):
        locks.write(path, lock())
    assert list(tmp_path.iterdir()) == [path]


def test_compare_reports_moved_new_and_removed_images(tmp_path):
    old = lock(image("r.io/same:1"), image("r.io/moved:1"), image("r.io/gone:1"))
    new = lock(image("r.io/moved:1", "b"), image("r.io/new:1"), image("r.io/same:1"))
    changes = locks.compare(old, new)
    assert changes.moved == ("r.io/moved:1",)
    assert changes.new == ("r.io/new:1",)
    assert changes.gone == ("r.io/gone:1",)


def test_image_that_has_not_moved_keeps_its_time():
    later = TIME.replace(year=2027)
    old = lock(image("r.io/same:1"), image("r.io/moved:1"))
    new = lock(image("r.io/same:1", time=later), image("r.io/moved:1", "b", time=later))
    assert [image.locked_root.time for image in locks.keep_times(old, new).images] == [TIME, later]


def test_locked_image_is_requested_by_the_digest_at_its_source(tmp_path):
    path = tmp_path / "m.lock.yaml"
    local = image("localhost/a:b", source=f"oci:{tmp_path}/a:b")
    locks.write(path, lock(image("r.io/a:1"), FULL, local))
    plain, stripped, local = locks.read(path).images
    assert (str(plain.source), plain.expected_root, plain.locked_root.root.digest) == (
        f"docker://r.io/a@{digest('a')}",
        digest("a"),
        digest("a"),
    )
    assert (plain.display_name, plain.selection.everything, plain.referrers) == (
        "r.io/a:1",
        True,
        (),
    )
    assert (str(stripped.source), stripped.expected_root, stripped.locked_root.root.digest) == (
        f"docker://quay.io/x/app@{digest('b')}",
        digest("b"),
        digest("a"),
    )
    assert (stripped.selection, stripped.rename) == (FULL.selection, "infra/app:1.10")
    assert stripped.referrers == FULL.referrers
    assert (str(local.source), local.expected_root) == (f"oci:{tmp_path}/a:b", digest("a"))


def test_create_locks_each_image_with_the_root_it_resolves_to(tmp_path):
    """Platforms are stripped, so the lock file contains the root at the source and the new root."""
    multi = images.multi_platform("multi", "linux/amd64", "linux/arm64", "linux/s390x")
    tag, signature = images.cosign_signature(multi)
    images.write_layout(tmp_path / "layout", {"multi": multi, tag: signature})
    path = tmp_path / "m.yaml"
    path.write_text(
        "images: [{ref: 'oci:layout:multi', rename: 'a:1', platforms: [linux/amd64, linux/arm64]}]"
    )
    loaded = manifest.load(path, environment={})
    home = tmp_path / "home"
    options = OpenOptions(
        lambda: Settings.load(
            {}, home, 1000, ConfigPathOverrides(etc=home, usr_share=home, run=home)
        )
    )
    with ThreadPoolExecutor(2) as executor:
        requests = expand(loaded, lambda _: [])
        created = locks.create(loaded, requests, options, EngineOptions(executor))
    locks.write(tmp_path / "m.lock.yaml", created)
    assert locks.read(tmp_path / "m.lock.yaml") == created
    (locked,) = created.images
    assert (locked.expected_root.text, locked.locked_root.replaces.text) == (
        multi.digest,
        multi.digest,
    )
    assert locked.locked_root.root.digest.text != multi.digest
    assert (locked.selection, locked.rename, locked.origin) == (
        requests[0].selection,
        "a:1",
        "m.yaml:1",
    )


def test_change_in_any_file_of_the_manifest_is_found(tmp_path):
    main, included = tmp_path / "m.yaml", tmp_path / "list.txt"
    main.write_text("include: [list.txt]\nimages: [a:1]")
    included.write_text("b:1\n")

    def load() -> manifest.BundleManifest:
        return manifest.load(main, environment={})

    held = LockFile("m", load().files, ())
    assert held.find_changed_files(load()) == ()
    included.write_text("b:2\n")
    assert held.find_changed_files(load()) == ("list.txt",)
    main.write_text("images: [a:1]")
    assert held.find_changed_files(load()) == ("m.yaml", "list.txt")
