"""Under Skopeo's name, ``--format`` is applied or refused as in Skopeo."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.oci import media_types
from tests.fakes import images
from tests.fakes.images import DOCKER

if TYPE_CHECKING:
    from pathlib import Path

HISTORY = {"created": "2020-01-01T00:00:00Z", "history": [{"created": "2020-01-01T00:00:00Z"}]}


@pytest.fixture
def sources(airbundle, tmp_path: Path) -> dict[str, str]:
    """References to images and indexes of both formats, by name."""
    docker = [
        images.image(
            images.layer({"a": platform.encode()}, types=DOCKER),
            platform=platform,
            types=DOCKER,
            config=HISTORY,
        )
        for platform in ("linux/amd64", "linux/arm64")
    ]
    named = {
        "oci": images.image(config=HISTORY),
        "index": images.multi_platform("app", "linux/amd64", "linux/arm64"),
        "docker": docker[0],
        "list": images.index(*docker, types=DOCKER),
    }
    layout = images.write_layout(tmp_path / "layout", named)
    for name in named:
        airbundle.ok("copy", f"oci:{layout}:{name}", f"dir:{tmp_path}/{name}")
    return {name: f"dir:{tmp_path}/{name}" for name in named}


def read_root(directory: Path) -> str | None:
    """Return the digest of the root in a layout or a directory; None if there is none."""
    if (index := directory / "index.json").exists():
        (entry,) = json.loads(index.read_bytes())["manifests"]
        return f"{entry['mediaType']} {entry['digest']}"
    file = directory / "manifest.json"
    return images.sha256(file.read_bytes()) if file.exists() else None


@pytest.mark.parametrize("kind", ["oci", "dir"])
@pytest.mark.parametrize(
    "options",
    [
        *(("--format", "v2s2"), ("--format", "oci"), ("--preserve-digests",)),
        *(("--preserve-digests", "--format", name) for name in ("oci", "v2s1", "v2s2")),
    ],
)
def test_format_is_that_of_skopeo(clients, sources, tmp_path, options, kind):
    ours, theirs = clients("skopeo-name"), clients("skopeo")
    for name, source in sources.items():
        results = []
        for client in (ours, theirs):
            output = tmp_path / f"{client.home.name}-{name}"
            completed = client("copy", "--all", *options, source, f"{kind}:{output}")
            message = completed.stderr.partition("level=fatal ")[2]
            results.append((completed.returncode, message, read_root(output)))
        assert results[0] == results[1], name


@pytest.mark.parametrize("name", ["airbundle", "skopeo-name"])
def test_schema_1_is_refused_in_a_layout(clients, sources, tmp_path, name):
    """Skopeo stores it under a digest that is not that of its bytes."""
    completed = clients(name)("copy", "--format=v2s1", sources["docker"], f"oci:{tmp_path}/out")
    assert completed.returncode == 1
    assert f"does not support {media_types.DOCKER_SCHEMA1_SIGNED}" in completed.stderr


@pytest.mark.parametrize(
    ("source", "requested"),
    [("docker", "oci"), ("list", "oci"), ("oci", "v2s2"), ("index", "v2s2")],
)
def test_format_that_changes_a_preserved_digest_is_refused(
    airbundle, sources, tmp_path, source, requested
):
    options = ("--preserve-digests", "--format", requested)
    completed = airbundle("copy", *options, sources[source], f"dir:{tmp_path}/out")
    assert completed.returncode == 1
    assert "instructed to preserve digests" in completed.stderr
