"""Skopeo and airbundle read each other's layouts, with the same digests and the same bytes.

Two differences are removed before files are compared. Skopeo 1.9 writes ``oci-layout`` with a space
and ``index.json`` without a media type; later versions write both as airbundle does. Only airbundle
writes the platform of an image into ``index.json``.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from bundler import transports
from bundler.cancel import Cancellation
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.image import ImageRequest
from bundler.copy.plan import create_plan
from bundler.copy.planned_image import PlannedImage
from bundler.copy.resolving.resolve import resolve
from bundler.oci.digest import Digest
from bundler.ports import Node, OpenOptions
from bundler.transports.directory.tree import DirectoryTreeDestination
from tests.fakes import images
from tests.interop.written_files import read_files

OPTIONS = OpenOptions(load_settings=None)


def copy(source_text, destination_text):
    """Copy one image with the copy engine."""
    source_reference = transports.parse(source_text)
    reference = transports.parse(destination_text)
    source = transports.open_source(source_reference, OPTIONS)
    with closing(source):
        destination = transports.open_destination(reference, OPTIONS)
        with closing(destination):
            _copy_between(source_reference, source, destination, reference.name)


def _copy_between(reference, source, destination, *names):
    with ThreadPoolExecutor(2) as pool:
        image = resolve(ImageRequest(reference), source)
        target_names = tuple(name for name in names if name is not None)
        plan = create_plan([PlannedImage(image, destination, target_names)], pool, Cancellation())
        execute(plan, EngineOptions(pool))


def change_to_later_skopeo(layout):
    """Return the files of a layout of Skopeo 1.9 as later versions write them."""
    found = read_files(layout)
    found["oci-layout"] = found["oci-layout"].replace(b": ", b":")
    found["index.json"] = found["index.json"].replace(
        b'{"schemaVersion":2,"manifests"',
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests"',
    )
    return found


def remove_platforms(layout):
    """Return the files of a layout without the platforms in ``index.json``."""
    found = read_files(layout)
    index = json.loads(found["index.json"])
    for entry in index["manifests"]:
        entry.pop("platform", None)
    found["index.json"] = images.dump(index)
    return found


@pytest.fixture
def image():
    return images.image(images.layer({"a": b"1" * 5000}), images.layer({"b": b"<&>"}))


@pytest.fixture
def index():
    return images.multi_platform(
        "app", "linux/amd64", "linux/arm64/v8", shared=images.layer({"shared": b"s" * 9000})
    )


@pytest.mark.parametrize("kind", ["image", "index", "docker"])
def test_layout_is_identical_to_skopeo(tmp_path, skopeo, image, index, kind):
    sample = {"image": image, "index": index, "docker": images.image(types=images.DOCKER)}[kind]
    images.write_layout(tmp_path / "made", {"app": sample})
    copy(f"oci:{tmp_path}/made:app", f"dir:{tmp_path}/d")
    theirs = f"oci:{tmp_path}/theirs:x"
    skopeo.ok("copy", "--all", "--preserve-digests", f"dir:{tmp_path}/d", theirs)
    copy(f"dir:{tmp_path}/d", f"oci:{tmp_path}/ours:x")
    assert remove_platforms(tmp_path / "ours") == change_to_later_skopeo(tmp_path / "theirs")


def test_additional_names_are_written_as_by_skopeo(tmp_path, skopeo, image, index):
    images.write_layout(tmp_path / "made", {"image": image, "index": index})
    for name, called in (("image", "a"), ("index", "b"), ("image", "docker.io/library/c:1")):
        source = f"oci:{tmp_path}/made:{name}"
        skopeo.ok("copy", "--all", source, f"oci:{tmp_path}/theirs:{called}")
        copy(source, f"oci:{tmp_path}/ours:{called}")
    assert remove_platforms(tmp_path / "ours") == change_to_later_skopeo(tmp_path / "theirs")


def test_image_is_added_to_layout_of_skopeo(tmp_path, skopeo, image, index):
    images.write_layout(tmp_path / "made", {"image": image, "index": index})
    skopeo.ok("copy", f"oci:{tmp_path}/made:image", f"oci:{tmp_path}/both:theirs")
    copy(f"oci:{tmp_path}/made:index", f"oci:{tmp_path}/both:ours")
    for name, sample in (("theirs", image), ("ours", index)):
        raw = skopeo.ok("inspect", "--raw", f"oci:{tmp_path}/both:{name}")
        assert Digest.of(raw.encode()).text == sample.digest
        skopeo.ok("copy", "--all", f"oci:{tmp_path}/both:{name}", f"dir:{tmp_path}/{name}")


@pytest.mark.parametrize("kind", ["image", "index", "docker", "artifact"])
def test_directory_is_identical_to_skopeo(tmp_path, skopeo, image, index, kind):
    sample = {
        "image": image,
        "index": index,
        "docker": images.image(types=images.DOCKER),
        "artifact": images.artifact("application/vnd.example", b"data"),
    }[kind]
    images.write_layout(tmp_path / "made", {"app": sample})
    copy(f"oci:{tmp_path}/made:app", f"dir:{tmp_path}/ours")
    skopeo.ok("copy", "--all", f"dir:{tmp_path}/ours", f"dir:{tmp_path}/theirs")
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


def test_directories_are_read_by_other_program(tmp_path, skopeo, index):
    images.write_layout(tmp_path / "made", {"app": index})
    copy(f"oci:{tmp_path}/made:app", f"dir:{tmp_path}/ours")
    skopeo.ok("copy", "--all", f"dir:{tmp_path}/ours", f"dir:{tmp_path}/theirs")
    copy(f"dir:{tmp_path}/theirs", f"oci:{tmp_path}/back:app")
    raw = skopeo.ok("inspect", "--raw", f"oci:{tmp_path}/back:app")
    assert Digest.of(raw.encode()).text == index.digest


def test_directories_are_reused_by_other_program(tmp_path, skopeo, image, index):
    images.write_layout(tmp_path / "made", {"image": image, "index": index})
    copy(f"oci:{tmp_path}/made:image", f"dir:{tmp_path}/d")
    skopeo.ok("copy", "--all", f"oci:{tmp_path}/made:index", f"dir:{tmp_path}/d")
    copy(f"oci:{tmp_path}/made:image", f"dir:{tmp_path}/d")
    copy(f"oci:{tmp_path}/made:image", f"dir:{tmp_path}/fresh")
    assert read_files(tmp_path / "d") == read_files(tmp_path / "fresh")


def test_skopeo_reads_every_image_of_directory_tree(tmp_path, skopeo, image, index):
    images.write_layout(tmp_path / "made", {"image": image, "index": index})
    reference = transports.parse(f"oci:{tmp_path}/made")
    with (
        closing(transports.open_source(reference, OPTIONS)) as source,
        closing(DirectoryTreeDestination(tmp_path / "tree")) as destination,
    ):
        for name, sample in (("image", image), ("index", index)):
            named = transports.parse(f"{reference}:{name}")
            _copy_between(named, source, destination, f"images/{sample.digest[7:]}")
    for name, sample in (("image", image), ("index", index)):
        ours = tmp_path / "tree/images" / sample.digest[7:]
        skopeo.ok("copy", "--all", f"oci:{tmp_path}/made:{name}", f"dir:{tmp_path}/{name}")
        assert read_files(ours) == read_files(tmp_path / name)


@pytest.fixture
def archive(tmp_path, skopeo):
    """A Docker archive that Skopeo wrote, of an image that has one layer twice."""
    twice = images.layer({"a": b"1" * 5000}, types=images.DOCKER)
    other = images.layer({"b": b"2"}, types=images.DOCKER)
    image = images.image(twice, other, twice, types=images.DOCKER)
    images.write_layout(tmp_path / "made", {"app": image})
    copy(f"oci:{tmp_path}/made:app", f"dir:{tmp_path}/made-dir")
    archive = tmp_path / "a.tar"
    skopeo.ok("copy", f"dir:{tmp_path}/made-dir", f"docker-archive:{archive}:example.com/x:1")
    return archive


def test_image_of_docker_archive_matches_skopeo(tmp_path, skopeo, archive):
    skopeo.ok("copy", f"docker-archive:{archive}", f"dir:{tmp_path}/theirs")
    copy(f"docker-archive:{archive}:example.com/x:1", f"dir:{tmp_path}/ours")
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


def test_manifest_of_docker_archive_matches_skopeo(skopeo, archive):
    raw = skopeo.ok("inspect", "--raw", f"docker-archive:{archive}")
    reference = transports.parse(f"docker-archive:{archive}")
    with closing(transports.open_source(reference, OPTIONS)) as source:
        root = source.resolve()
        with source.open(Node.of(root, "manifest")) as stream:
            assert stream.read() == raw.encode()
    assert len(json.loads(raw)["layers"]) == 3


def test_shared_blob_directory_is_used_by_both_programs(airbundle, skopeo, tmp_path) -> None:
    image = images.image()
    layout = images.write_layout(tmp_path / "layout", {"a": image})
    ours, theirs = f"oci:{tmp_path}/ours:a", f"oci:{tmp_path}/theirs:a"
    shared = tmp_path / "shared"

    airbundle.ok("copy", f"--dest-shared-blob-dir={shared}", f"oci:{layout}:a", ours)
    skopeo.ok("copy", f"--src-shared-blob-dir={shared}", ours, f"dir:{tmp_path}/read")
    skopeo.ok("copy", f"--dest-shared-blob-dir={shared}", f"oci:{layout}:a", theirs)
    airbundle.ok("copy", f"--src-shared-blob-dir={shared}", theirs, f"dir:{tmp_path}/back")

    assert len(list((shared / "sha256").iterdir())) == len(image.contents())
    for name in ("read", "back"):
        found = (tmp_path / name / "manifest.json").read_bytes()
        assert images.sha256(found) == image.digest


def test_parallel_writers_of_layout_lose_no_name(airbundle, skopeo, tmp_path) -> None:
    """One process writes at a time; a process that finds the layout locked runs again."""
    names = [f"app:{number}" for number in range(5)]
    samples = {name: images.image(images.layer({"app": name.encode()})) for name in names}
    layout = images.write_layout(tmp_path / "layout", samples)

    def copy_one(name: str) -> None:
        command = ("copy", f"oci:{layout}:{name}", f"oci:{tmp_path}/out:{name}")
        for _ in range(50):
            result = airbundle(*command)
            if result.returncode == 0:
                return
            assert result.returncode == 5, result.stderr
            assert "locked" in result.stderr
        raise AssertionError(f"{name} could not be copied: the layout is still locked")

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(copy_one, names))

    for name, image in samples.items():
        raw = skopeo.ok("inspect", "--raw", f"oci:{tmp_path}/out:{name}")
        assert images.sha256(raw.encode()) == image.digest
