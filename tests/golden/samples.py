"""The images of the scenarios; their bytes are the same in every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.registry import FakeRegistry

SHARED = images.layer({"shared": b"shared " * 100})
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7")
WEB = images.image(
    SHARED,
    images.layer({"web": b"web " * 100}),
    config={"created": "2020-01-02T03:04:05Z", "config": {"Labels": {"vendor": "example"}}},
)
TOOL = images.multi_platform("tool", *PLATFORMS, shared=SHARED)
DOCKER = images.image(images.layer({"db": b"db " * 100}, types=images.DOCKER), types=images.DOCKER)
CHART = images.artifact("application/vnd.example.chart", b"a chart")
SBOM = images.artifact("application/vnd.example.sbom", b"a list of parts", subject=WEB)
SIGNATURE_TAG, SIGNATURE = images.cosign_signature(WEB)

NAMED = {"web:1": WEB, "tool:2": TOOL, "db:3": DOCKER, "chart:4": CHART}


def write_layout(directory: Path) -> None:
    """Write an OCI layout ``layout`` with all images."""
    images.write_layout(directory / "layout", NAMED)


def push_images(registry: FakeRegistry) -> None:
    """Push all images below ``team/``, with two referrers of ``team/web``."""
    for name, image in NAMED.items():
        repository, _, tag = name.partition(":")
        images.push(registry.host, f"team/{repository}", image, tag)
    images.push(registry.host, "team/web", WEB, "1", "1.1", "2.0")
    images.push(registry.host, "team/web", SBOM)
    images.push(registry.host, "team/web", SIGNATURE, SIGNATURE_TAG)


def push_docker(registry: FakeRegistry, repository: str, tag: str) -> None:
    """Push the image with Docker's media types under another name."""
    images.push(registry.host, repository, DOCKER, tag)


def move_tag(registry: FakeRegistry) -> None:
    """Move a tag to another image, and remove another tag."""
    images.push(registry.host, "team/web", DOCKER, "1.1")
    del registry.repository("team/web").tags["2.0"]
