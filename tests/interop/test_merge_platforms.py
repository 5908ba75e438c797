"""``import --existing merge-platforms`` and ``--verify-pushed`` at real targets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

FORMER = images.multi_platform("former", "linux/amd64", "linux/arm64")
NEW = images.multi_platform("new", "linux/arm64", "linux/s390x")
SINGLE = images.image(config={"author": "single"})


class Site:
    """A target whose name ``app:1`` points to an index, and its records."""

    def __init__(self, airbundle: servers.Client, target: str, path: Path) -> None:
        self.airbundle, self.target, self.path = airbundle, target, path

    def run_import(self, name: str, image: images.Image, *options: object, expected: int = 0):
        """Import a bundle with one image; return its entry in the receipt."""
        bundle = self.path / name
        if not bundle.exists():
            bundles.write(bundle, {"quay.io/app:1": image}, stream=name)
        result = self.airbundle(
            *("import", bundle, self.target, "--allow-unsigned", "--reason", "test", "--adopt"),
            *("--records", self.path / "records", "--receipt", self.path / "receipt", "--json"),
            *(*options, *(("--tls-verify=false",) if self.target.startswith("docker:") else ())),
        )
        assert result.returncode == expected, result.stderr
        return json.loads(result.stdout)["images"][0] if expected == 0 else result

    @property
    def copy(self) -> tuple[str, str]:
        """The arguments of a copy of ``app:1``, which needs all of its content."""
        separator = "/" if self.target.startswith("docker:") else ":"
        return f"{self.target}{separator}app:1", f"oci:{self.path / 'copy'}:app"

    def read_index(self) -> dict[str, dict[str, str]]:
        """Return the digests of the platforms of ``app:1``."""
        if self.target.startswith("docker:"):
            reference, tls = f"{self.target}/app:1", ("--tls-verify=false",)
        else:
            reference, tls = f"{self.target}:app:1", ()
        raw = json.loads(self.airbundle.ok("inspect", "--raw", *tls, reference))
        return {item["platform"]["architecture"]: item["digest"] for item in raw["manifests"]}


@pytest.fixture(params=["docker", "oci"])
def site(airbundle, registry, repository: str, tmp_path: Path, request) -> Site:
    target = f"docker://{registry.host}/{repository}"
    return Site(
        airbundle, target if request.param == "docker" else f"oci:{tmp_path / 'd'}", tmp_path
    )


def test_platforms_of_both_indexes_are_merged(site: Site):
    """The bundle decides on its platforms; the receipt states what was made; again: the same."""
    site.run_import("former", FORMER)
    merge = ("--existing", "merge-platforms", "--verify-pushed")

    planned = site.run_import("new", NEW, *merge, "--dry-run")
    merged = site.run_import("new", NEW, *merge)

    assert planned["merged"] == merged["merged"]
    assert (merged["action"], merged["former"]) == ("merged", FORMER.digest)
    assert merged["digest"] == NEW.digest
    assert merged["merged"]["kept"] == ["linux/amd64"]
    assert site.read_index() == {
        "amd64": FORMER.children[0].digest,
        "arm64": NEW.children[0].digest,
        "s390x": NEW.children[1].digest,
    }
    assert site.run_import("new", NEW, *merge)["action"] == "same"
    tls = ("--tls-verify=false",) if site.target.startswith("docker:") else ()
    difference = site.airbundle("diff", site.path / "new", site.target, *tls)
    assert difference.returncode == 0, difference.stdout + difference.stderr
    site.airbundle.ok("copy", "--all", *(("--src-tls-verify=false",) if tls else ()), *site.copy)


def test_tree_of_directories_cannot_be_merged(airbundle, tmp_path: Path):
    """A directory has the content of one image only, so the other platforms would be lost."""
    site = Site(airbundle, f"dir:{tmp_path / 'd'}", tmp_path)
    site.run_import("former", FORMER)
    result = site.run_import("new", NEW, "--existing", "merge-platforms", expected=1)
    assert "merge-platforms" in result.stderr


@pytest.mark.parametrize("site", ["docker"], indirect=True)
def test_merge_is_undone(site: Site):
    site.run_import("former", FORMER)
    site.run_import("new", NEW, "--existing", "merge-platforms")

    site.airbundle.ok(
        *("undo", site.path / "receipt", "--reason", "test", "--tls-verify=false"),
        *("--records", site.path / "records"),
    )

    assert site.read_index() == {
        "amd64": FORMER.children[0].digest,
        "arm64": FORMER.children[1].digest,
    }


def test_image_that_is_no_index_is_a_conflict(site: Site):
    site.run_import("former", FORMER)
    result = site.run_import("single", SINGLE, "--existing", "merge-platforms", expected=10)
    assert "quay.io" in result.stderr or "app:1" in result.stderr
    assert set(site.read_index()) == {"amd64", "arm64"}


@pytest.mark.parametrize("kind", ["blob", "manifest"])
def test_target_that_stores_other_bytes_is_found(airbundle, tmp_path: Path, kind: str):
    """No name is published if a blob differs."""
    from tests.fakes.registry import FakeRegistry  # noqa: PLC0415

    with FakeRegistry() as running:
        site = Site(airbundle, f"docker://{running.host}", tmp_path)
        stored = running.repository("app")
        if kind == "blob":
            blob = NEW.all_blobs()[0]
            stored.blobs[blob.digest] = bytes(len(blob.data))
        else:
            site.run_import("new", NEW)
            child = NEW.children[0]
            media_type, _ = stored.manifests[child.digest]
            stored.manifests[child.digest] = (media_type, child.root.data[:-1] + b" ")

        result = site.run_import("new", NEW, "--verify-pushed", expected=3)

        assert "read back" in result.stderr
        assert (kind == "manifest") == bool(stored.tags)
