"""Real registries, one of each kind per test process; every test has its own repositories."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYER = os.urandom(300_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Registry]:
    with servers.registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def tls_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Registry]:
    with servers.tls_registry(tmp_path_factory.mktemp("tls-registry")) as running:
        yield running


@pytest.fixture(scope="session")
def token_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Registry]:
    with servers.token_registry(tmp_path_factory.mktemp("token-registry")) as running:
        yield running


@pytest.fixture
def repository() -> str:
    """The name of a repository that only this test uses."""
    return f"tests/{uuid.uuid4().hex[:12]}"


@pytest.fixture
def skopeo(tmp_path: Path) -> servers.Client:
    home = tmp_path / "skopeo-home"
    home.mkdir()
    return servers.Client((servers.program("skopeo"), "--insecure-policy"), home)


@pytest.fixture
def airbundle(tmp_path: Path) -> servers.Client:
    home = tmp_path / "airbundle-home"
    home.mkdir()
    return servers.Client(servers.AIRBUNDLE, home, dict(servers.CHECKOUT))


@pytest.fixture
def clients(tmp_path: Path) -> Callable[[str], servers.Client]:
    """Create airbundle, airbundle under Skopeo's name, or Skopeo, by name."""

    def make(name: str) -> servers.Client:
        home = tmp_path / name
        home.mkdir()
        if name == "skopeo":
            return servers.Client((servers.program("skopeo"), "--insecure-policy"), home)
        front_end = ("--as", "skopeo", "--insecure-policy") if name == "skopeo-name" else ()
        return servers.Client((*servers.AIRBUNDLE, *front_end), home, dict(servers.CHECKOUT))

    return make


@pytest.fixture(params=["airbundle", "skopeo-name", "skopeo"])
def client(request: pytest.FixtureRequest, clients) -> servers.Client:
    return clients(request.param)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        running.add_image("library/app", "1", layers=[b"base" * 1000, LAYER])
        yield running


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    base = images.layer({"data": LAYER})
    app, tool = images.image(base), images.multi_platform("tool", "linux/amd64", "linux/arm64")
    return images.write_layout(tmp_path / "layout", {"app:1": app, "tool:1": tool})


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the key pairs ``ours`` and ``theirs``."""
    directory = tmp_path_factory.mktemp("keys")
    home = servers.Client(servers.AIRBUNDLE, directory, servers.CHECKOUT)
    for name in ("ours", "theirs"):
        home.ok("keygen", "--no-passphrase", directory / name)
    return directory


@pytest.fixture
def bundle(airbundle: servers.Client, layout: Path, keys: Path, tmp_path: Path) -> Path:
    """A valid bundle of two images, signed by ``ours``."""
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(f"images: ['oci:{layout}:app:1', 'oci:{layout}:tool:1']\n")
    airbundle.ok("export", manifest, tmp_path / "bundle", "--sign-key", keys / "ours.key")
    return tmp_path / "bundle"
