"""``layers`` writes the files of Skopeo's ``layers`` and prints the same warning.

For an image of an index, Skopeo writes the index beside the layers of the image, which no program
can read; airbundle writes the manifest of the image.
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
    ("name", "digests"),
    [
        ("app", []),
        ("app", [DIGEST]),
        ("app", [DIGEST.removeprefix("sha256:")]),
        ("app", [DIGEST, LAYERS[1].blob.digest]),
    ],
)
def test_layers_writes_files_of_skopeo(
    skopeo: servers.Client,
    airbundle: servers.Client,
    layout: Path,
    tmp_path: Path,
    name: str,
    digests: list[str],
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for client, destination in ((skopeo, theirs), (airbundle, ours)):
        destination.mkdir()
        assert client.ok("layers", f"oci:{layout}:{name}", *digests, cwd=destination) == ""

    assert _read_layers(ours) == _read_layers(theirs)


def test_layers_of_index_writes_complete_image(
    airbundle: servers.Client, skopeo: servers.Client, layout: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "written"
    destination.mkdir()
    airbundle.ok("layers", f"oci:{layout}:multi", cwd=destination)

    (written,) = destination.iterdir()

    assert skopeo.ok("inspect", "--raw", f"dir:{written}").encode() == MULTI.children[1].root.data


def test_layers_warning_under_name_skopeo_matches_skopeo(
    skopeo: servers.Client, airbundle: servers.Client, layout: Path, tmp_path: Path
) -> None:
    arguments = ("--insecure-policy", "layers", f"oci:{layout}:app")

    ours = airbundle("--as", "skopeo", *arguments, cwd=tmp_path)
    theirs = skopeo("layers", f"oci:{layout}:app", cwd=tmp_path)

    assert (ours.returncode, ours.stdout, ours.stderr) == (0, "", theirs.stderr)


@pytest.mark.parametrize(("image", "layer"), [("nothing", DIGEST), ("app", "sha256:" + "0" * 64)])
def test_failed_layers_leaves_no_directory(
    airbundle: servers.Client, layout: Path, tmp_path: Path, image: str, layer: str
) -> None:
    destination = tmp_path / "written"
    destination.mkdir()

    assert airbundle("layers", f"oci:{layout}:{image}", layer, cwd=destination).returncode == 9
    assert list(destination.iterdir()) == []


def _read_layers(destination: Path) -> dict[str, bytes]:
    (directory,) = destination.iterdir()
    assert directory.name.startswith("layers-")
    return {path.name: path.read_bytes() for path in directory.iterdir()}
