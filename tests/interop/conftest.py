"""Real registries, one of each kind for a test process; every test has repositories of its own."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
AIRBUNDLE = "import sys; from bundler.cli.main import main; sys.exit(main())"


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
    """The name of a repository that no other test uses."""
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
    environment = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    return servers.Client((sys.executable, "-c", AIRBUNDLE), home, environment)
