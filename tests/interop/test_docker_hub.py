"""Docker Hub: docker.io refers to registry-1.docker.io, with tokens from auth.docker.io.

Skopeo behaves the same with the same commands, so each test also runs Skopeo.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop.named_hosts import PASSWORD, REPOSITORY, USERNAME, NamedHosts, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel("network namespaces", "mounts")

NAME, REGISTRY, TOKENS = "docker.io", "registry-1.docker.io", "auth.docker.io"
REALM = f"https://{TOKENS}/token"
CREDS = f"{USERNAME}:{PASSWORD}"
IMAGE = f"docker://{NAME}/{REPOSITORY}"


@pytest.fixture
def hub(tmp_path: Path) -> Callable[..., NamedHosts]:
    def make(**behaviour: bool) -> NamedHosts:
        names = (NAME, "index.docker.io", REGISTRY, TOKENS)
        return NamedHosts(tmp_path / "hub", names, REALM, **behaviour)

    return make


def write_credentials(path: Path, key: str) -> Path:
    auth = base64.b64encode(CREDS.encode()).decode()
    return write(path, json.dumps({"auths": {key: {"auth": auth}}}))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def assert_succeeded(result: Run) -> None:
    assert result.status == 0, result.stderr
    assert result.hosts == {REGISTRY, TOKENS}


def test_every_command_uses_registry_host_of_docker_hub(client, hub, tmp_path) -> None:
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
    for result in done.values():
        assert_succeeded(result)
    assert json.loads(done["list tags"].stdout)["Repository"] == f"{NAME}/{REPOSITORY}"
    for command in ("push", "delete", "login"):
        assert done[command].password_receivers() == {TOKENS}


def test_credentials_of_every_name_are_sent_to_token_service(client, hub) -> None:
    keys = (NAME, "index.docker.io", "https://index.docker.io/v1/", f"{NAME}/library")
    files = [write_credentials(client.home / f"{at}.json", key) for at, key in enumerate(keys)]
    commands = [("inspect", "--no-tags", "--authfile", file, f"{IMAGE}:1") for file in files]
    for result in hub(anonymous_pull=False).run(client, *commands):
        assert_succeeded(result)
        assert result.password_receivers() == {TOKENS}


def test_login_is_stored_under_docker_io(client, hub) -> None:
    keep = ("--authfile", client.home / "auth.json")
    login, pull, logout = hub(anonymous_pull=False).run(
        client,
        ("login", *keep, "--username", USERNAME, "--password", PASSWORD, NAME),
        ("inspect", *keep, f"{IMAGE}:1"),
        ("logout", *keep, NAME),
    )
    assert_succeeded(login)
    assert_succeeded(pull)
    assert (logout.status, logout.hosts) == (0, set())
    assert json.loads((client.home / "auth.json").read_text()).get("auths") in ({}, None)


@pytest.mark.parametrize(("directory", "trusted"), [(NAME, True), (REGISTRY, False)])
def test_certificates_are_found_by_docker_io(client, hub, directory, trusted) -> None:
    hosts = hub(trusted=False)
    authority = client.home / f".config/containers/certs.d/{directory}/ca.crt"
    write(authority, hosts.ca.read_text())
    (result,) = hosts.run(client, ("list-tags", IMAGE))
    assert (result.status == 0) is trusted
    assert result.hosts == ({REGISTRY, TOKENS} if trusted else set())


def test_short_names_of_docker_hub_are_accepted(client, hub) -> None:
    """With a port, docker.io is an ordinary host, also for credentials."""
    authfile = write_credentials(client.home / "auth.json", NAME)
    names = (
        "app",
        "index.docker.io/library/app",
        "index.docker.io/app",
        f"{REGISTRY}/{REPOSITORY}",
    )
    (*done, with_port) = hub().run(
        client,
        *(
            ("inspect", "--no-tags", "--authfile", authfile, f"docker://{name}:1")
            for name in (*names, f"{NAME}:443/{REPOSITORY}")
        ),
    )
    for result in done:
        assert_succeeded(result)
        assert result.password_receivers() == {TOKENS}
    assert with_port.status == 0, with_port.stderr
    assert {host.removesuffix(":443") for host in with_port.hosts} == {NAME, TOKENS}
    assert with_port.password_receivers() == set()


def test_registries_conf_configures_docker_io(client, hub) -> None:
    mirrored = '[[registry]]\nlocation = "mirrored.test"\n[[registry.mirror]]\nlocation = '
    elsewhere = f'"{NAME}"\n[[registry]]\nprefix = "renamed.test"\nlocation = "{NAME}/library"\n'
    blocked = f'[[registry]]\nlocation = "{NAME}/blocked"\nblocked = true\n'
    conf = client.home / ".config/containers/registries.conf"
    write(conf, mirrored + elsewhere + blocked)
    at_mirror, renamed, refused = hub().run(
        client,
        ("inspect", "--no-tags", "docker://mirrored.test/library/app:1"),
        ("inspect", "--no-tags", "docker://renamed.test/app:1"),
        ("inspect", f"docker://{NAME}/blocked/app:1"),
    )
    assert_succeeded(at_mirror)
    assert_succeeded(renamed)
    assert refused.status != 0
    assert refused.hosts == set()


def test_connection_failure_names_requested_host(client, hub) -> None:
    (result,) = hub(listening=False).run(client, ("inspect", f"{IMAGE}:1"))
    assert result.status != 0
    assert f"https://{REGISTRY}" in result.stderr


def test_messages_under_name_skopeo_match_skopeo(hub, tmp_path, clients) -> None:
    """Newer versions print more before the reason, so the comparison starts at the reason."""
    layout = images.write_layout(tmp_path / "layout", {"app": images.image(images.layer({}))})
    unreachable = ("inspect", f"{IMAGE}:1")
    refused = (
        ("copy", "--dest-creds", f"{USERNAME}:wrong", f"oci:{layout}:app", f"{IMAGE}:2"),
        ("login", "--username", USERNAME, "--password", "wrong", NAME),
    )
    output = []
    for client in (clients("skopeo-name"), clients("skopeo")):
        result = hub(listening=False).run(client, unreachable) + hub().run(client, *refused)
        starts = ("pinging container registry", "trying to reuse blob", "logging into")
        output.append(
            [
                run.stderr[run.stderr.find(start) :]
                for run, start in zip(result, starts, strict=True)
            ]
        )
    assert output[0] == output[1]
    assert output[0][0].startswith(f"pinging container registry {REGISTRY}: ")


def test_hint_suggests_login_to_docker_io(clients, hub) -> None:
    (result,) = hub(anonymous_pull=False).run(clients("airbundle"), ("inspect", f"{IMAGE}:1"))
    assert result.status == 7
    assert f"airbundle login {NAME}\n" in result.stderr
