"""Docker Hub is named docker.io, asked at registry-1.docker.io, and gives tokens at auth.docker.io.

Skopeo does the same with the same commands, so each claim is made of it as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers
from tests.interop.named_hosts import PASSWORD, REPOSITORY, USERNAME, Hosts, Ran

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

NAME, REGISTRY, TOKENS = "docker.io", "registry-1.docker.io", "auth.docker.io"
REALM = f"https://{TOKENS}/token"
CREDS = f"{USERNAME}:{PASSWORD}"
IMAGE = f"docker://{NAME}/{REPOSITORY}"


@pytest.fixture(params=["airbundle", "skopeo-name", "skopeo"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> servers.Client:
    home = tmp_path / "home"
    home.mkdir()
    if request.param == "skopeo":
        return servers.Client((servers.program("skopeo"), "--insecure-policy"), home)
    as_skopeo = ("--as", "skopeo", "--insecure-policy") if request.param == "skopeo-name" else ()
    return servers.Client((*servers.AIRBUNDLE, *as_skopeo), home, dict(servers.CHECKOUT))


@pytest.fixture
def hub(tmp_path: Path) -> Callable[..., Hosts]:
    def make(**behaviour: bool) -> Hosts:
        names = (NAME, "index.docker.io", REGISTRY, TOKENS)
        return Hosts(tmp_path / "hub", names, REALM, **behaviour)

    return make


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def assert_done(ran: Ran) -> None:
    assert ran.status == 0, ran.stderr
    assert ran.hosts == {REGISTRY, TOKENS}


def test_every_command_asks_the_registry_behind_the_name(client, hub, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"app": images.image(images.layer({}))})
    commands = {
        "inspect": ("inspect", f"{IMAGE}:1"),
        "list tags": ("list-tags", IMAGE),
        "pull": ("copy", f"{IMAGE}:1", f"oci:{tmp_path}/pulled:1"),
        "push": ("copy", "--dest-creds", CREDS, f"oci:{layout}:app", f"{IMAGE}:2"),
        "sync": ("sync", "--src", "docker", "--dest", "dir", f"{NAME}/{REPOSITORY}:1", tmp_path),
        "delete": ("delete", "--creds", CREDS, f"{IMAGE}:2"),
        "login": ("login", "--username", USERNAME, "--password", PASSWORD, NAME),
    }
    done = dict(zip(commands, hub().run(client, *commands.values()), strict=True))
    for ran in done.values():
        assert_done(ran)
    assert json.loads(done["list tags"].stdout)["Repository"] == f"{NAME}/{REPOSITORY}"
    for command in ("push", "delete", "login"):
        assert done[command].given_password() == {TOKENS}
