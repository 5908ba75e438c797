"""The content of one bundle with two images and their referrers, opened to be served."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from bundler.bundle.serving.open_content import ServeRequest, open_content
from bundler.copy.engine import EngineOptions
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.bundle.serving.content import ServedContent

SBOM = "application/vnd.example.sbom"


class OpenBundles(Protocol):
    """Open bundles that are not signed; ``members`` are those of ``ServeRequest``."""

    def __call__(self, *paths: Path, **members: Any) -> ServedContent: ...


@pytest.fixture
def open_bundles() -> Iterator[OpenBundles]:
    with ExitStack() as stack:
        executor = stack.enter_context(ThreadPoolExecutor(2))

        def open_them(*paths: Path, **members: Any) -> ServedContent:
            request = ServeRequest(paths, **{"allow_unsigned": True, **members})
            return open_content(request, EngineOptions(executor), stack)[0]

        yield open_them


@dataclass(frozen=True, slots=True)
class Served:
    """The content, the images in it, and the directory of the bundle."""

    content: ServedContent
    nginx: images.Image
    app: images.Image
    sbom: images.Image
    """A referrer of ``nginx``, found by its subject."""
    signature: images.Image
    """A referrer of ``nginx``, found by its tag."""
    signature_tag: str
    bundle: Path


@pytest.fixture(params=["oci", "dir"])
def served(request: pytest.FixtureRequest, tmp_path: Path, open_bundles: OpenBundles) -> Served:
    named = bundles.sample()
    nginx, app = named.values()
    sbom = images.artifact(SBOM, b"packages", subject=nginx, annotations={"by": "us"})
    tag, signature = images.cosign_signature(nginx)
    entries = bundles.create_inventory(tmp_path, named)["images"]
    entries[0]["referrers"] = [
        {**sbom.root.descriptor(artifactType=SBOM), "subject": nginx.digest},
        {**signature.root.descriptor(tag=tag), "subject": nginx.digest},
    ]
    repository = bundles.REFERENCES[0].partition(":")[0]
    stored = {**named, f"{repository}@{sbom.digest}": sbom, f"{repository}:{tag}": signature}
    bundle = bundles.write(tmp_path / "bundle", stored, form=request.param, images=entries)
    return Served(open_bundles(bundle), nginx, app, sbom, signature, tag, bundle)
