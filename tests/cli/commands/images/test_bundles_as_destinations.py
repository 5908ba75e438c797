"""Commands other than ``export`` do not write to a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NGINX = bundles.REFERENCES[0]
ROOT = bundles.sample()[NGINX].digest.removeprefix("sha256:")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with a layout and a bundle of each format."""
    images.write_layout(tmp_path / "layout", {"one": images.image()})
    bundles.write(tmp_path / "plant-7")
    bundles.write(tmp_path / "tree", form="dir")
    return tmp_path


def contents(site: Path) -> dict[str, bytes]:
    names = ("plant-7", "tree")
    files = [path for name in names for path in bundles.find_files(site / name)]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize("front", [(), ("--as", "skopeo")], ids=["native", "skopeo"])
@pytest.mark.parametrize(
    "arguments",
    [
        "copy oci:layout:one oci:plant-7:one",
        "copy oci:layout:one dir:plant-7",
        "copy oci:layout:one oci-archive:plant-7/blobs/one.tar",
        "copy --dest-shared-blob-dir plant-7/blobs oci:layout:one oci:new:one",
        f"copy oci:layout:one dir:tree/images/{ROOT}",
        f"delete oci:plant-7:{NGINX}",
        "sync --src docker --dest dir localhost:1/app tree",
        "sync --src docker --dest dir localhost:1/app tree/images",
    ],
)
def test_command_refuses_to_write_to_a_bundle(
    site: Path, run_airbundle: RunAirbundle, front: tuple[str, ...], arguments: str
):
    """The message names the bundle, under Skopeo's name too."""
    before = contents(site)
    (site / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    policy = ("--policy", "policy.json") if front else ()
    result = run_airbundle(*front, *policy, *arguments.split())
    assert result.status == (1 if front else 2), result.stderr
    assert "contains a bundle" in result.stderr
    assert "plant-7" in result.stderr or "tree" in result.stderr
    assert contents(site) == before


@pytest.mark.parametrize(
    "arguments", ["--dest oci", "--dry-run --dest oci", "--dry-run --dest dir"]
)
def test_sync_refuses_a_bundle_before_it_asks_the_source(
    site: Path, run_airbundle: RunAirbundle, arguments: str
):
    result = run_airbundle(
        "sync", "--src", "docker", *arguments.split(), "localhost:1/app", "plant-7"
    )
    assert result.status == 2
    assert "contains a bundle" in result.stderr


def test_archive_beside_a_bundle_is_allowed(site: Path, run_airbundle: RunAirbundle):
    """At the top level of the directory, a bundle leaves the files of others alone."""
    result = run_airbundle("copy", "oci:layout:one", "oci-archive:plant-7/one.tar")
    assert result.status == 0, result.stderr
