"""``layers`` writes what Skopeo's writes, and says as much.

Where the image is one of a list, Skopeo writes the list itself beside the layers of the image,
which nothing can read; ours writes the manifest of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

LAYERS = images.layer({"a": b"1"}), images.layer({"b": b"2"})
MULTI = images.multi_platform("multi", "linux/arm64", "linux/amd64")
IMAGES = {"app": images.image(*LAYERS), "multi": MULTI}
DIGEST = LAYERS[0].blob.digest


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return images.write_layout(tmp_path / "images", IMAGES)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("app", []),
        ("app", [DIGEST]),
        ("app", [DIGEST.removeprefix("sha256:")]),
        ("app", [DIGEST, LAYERS[1].blob.digest]),
    ],
)
def test_the_same_files_are_written(
    skopeo: servers.Client,
    airbundle: servers.Client,
    layout: Path,
    tmp_path: Path,
    name: str,
    wanted: list[str],
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for client, place in ((skopeo, theirs), (airbundle, ours)):
        place.mkdir()
        assert client.ok("layers", f"oci:{layout}:{name}", *wanted, cwd=place) == ""

    assert _files(ours) == _files(theirs)


def test_of_a_list_the_image_is_whole(
    airbundle: servers.Client, skopeo: servers.Client, layout: Path, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    airbundle.ok("layers", f"oci:{layout}:multi", cwd=place)

    (made,) = place.iterdir()

    assert skopeo.ok("inspect", "--raw", f"dir:{made}").encode() == MULTI.children[1].root.data


def test_under_its_name_the_warning_is_the_same(
    skopeo: servers.Client, airbundle: servers.Client, layout: Path, tmp_path: Path
) -> None:
    arguments = ("--insecure-policy", "layers", f"oci:{layout}:app")

    ours = airbundle("--as", "skopeo", *arguments, cwd=tmp_path)
    theirs = skopeo("layers", f"oci:{layout}:app", cwd=tmp_path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "", theirs.stderr)


@pytest.mark.parametrize(("image", "layer"), [("nothing", DIGEST), ("app", "sha256:" + "0" * 64)])
def test_a_failure_leaves_no_directory(
    airbundle: servers.Client, layout: Path, tmp_path: Path, image: str, layer: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()

    assert airbundle("layers", f"oci:{layout}:{image}", layer, cwd=place).returncode == 9
    assert list(place.iterdir()) == []


def _files(place: Path) -> dict[str, bytes]:
    (directory,) = place.iterdir()
    assert directory.name.startswith("layers-")
    return {path.name: path.read_bytes() for path in directory.iterdir()}
