"""Docker Hub is named docker.io, asked at registry-1.docker.io, and gives tokens at auth.docker.io.

Skopeo does the same with the same commands, so each claim is made of it as well.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop.named_hosts import PASSWORD, REPOSITORY, USERNAME, Hosts, Ran

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel("network namespaces", "mounts")

NAME, REGISTRY, TOKENS = "docker.io", "registry-1.docker.io", "auth.docker.io"
REALM = f"https://{TOKENS}/token"
CREDS = f"{USERNAME}:{PASSWORD}"
IMAGE = f"docker://{NAME}/{REPOSITORY}"


@pytest.fixture
def hub(tmp_path: Path) -> Callable[..., Hosts]:
    def make(**behaviour: bool) -> Hosts:
        names = (NAME, "index.docker.io", REGISTRY, TOKENS)
        return Hosts(tmp_path / "hub", names, REALM, **behaviour)

    return make


def write_credentials(path: Path, key: str) -> Path:
    auth = base64.b64encode(CREDS.encode()).decode()
    return write(path, json.dumps({"auths": {key: {"auth": auth}}}))


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


def test_credentials_of_either_name_are_given_to_the_token_service(client, hub) -> None:
    keys = (NAME, "index.docker.io", "https://index.docker.io/v1/", f"{NAME}/library")
    files = [write_credentials(client.home / f"{at}.json", key) for at, key in enumerate(keys)]
    commands = [("inspect", "--no-tags", "--authfile", file, f"{IMAGE}:1") for file in files]
    for ran in hub(anonymous_pull=False).run(client, *commands):
        assert_done(ran)
        assert ran.given_password() == {TOKENS}


def test_a_login_is_kept_under_the_name(client, hub) -> None:
    keep = ("--authfile", client.home / "auth.json")
    login, pull, logout = hub(anonymous_pull=False).run(
        client,
        ("login", *keep, "--username", USERNAME, "--password", PASSWORD, NAME),
        ("inspect", *keep, f"{IMAGE}:1"),
        ("logout", *keep, NAME),
    )
    assert_done(login)
    assert_done(pull)
    assert (logout.status, logout.hosts) == (0, set())
    assert json.loads((client.home / "auth.json").read_text()).get("auths") in ({}, None)


@pytest.mark.parametrize(("directory", "trusted"), [(NAME, True), (REGISTRY, False)])
def test_certificates_are_looked_up_by_the_name(client, hub, directory, trusted) -> None:
    hosts = hub(trusted=False)
    authority = client.home / f".config/containers/certs.d/{directory}/ca.crt"
    write(authority, hosts.ca.read_text())
    (ran,) = hosts.run(client, ("list-tags", IMAGE))
    assert (ran.status == 0) is trusted
    assert ran.hosts == ({REGISTRY, TOKENS} if trusted else set())


def test_names_that_users_write_for_docker_hub(client, hub) -> None:
    """With a port, docker.io is a host like any other, for credentials as well."""
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
    for ran in done:
        assert_done(ran)
        assert ran.given_password() == {TOKENS}
    assert with_port.status == 0, with_port.stderr
    assert {host.removesuffix(":443") for host in with_port.hosts} == {NAME, TOKENS}
    assert with_port.given_password() == set()


def test_registries_conf_knows_docker_hub_by_its_name(client, hub) -> None:
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
    assert_done(at_mirror)
    assert_done(renamed)
    assert refused.status != 0
    assert refused.hosts == set()


def test_a_failure_to_connect_names_the_host_that_was_asked(client, hub) -> None:
    (ran,) = hub(listening=False).run(client, ("inspect", f"{IMAGE}:1"))
    assert ran.status != 0
    assert f"https://{REGISTRY}" in ran.stderr


def test_messages_under_skopeos_name_are_those_of_skopeo(hub, tmp_path, clients) -> None:
    """Newer versions put more before the reason, so that is compared from its beginning."""
    layout = images.write_layout(tmp_path / "layout", {"app": images.image(images.layer({}))})
    unreachable = ("inspect", f"{IMAGE}:1")
    refused = (
        ("copy", "--dest-creds", f"{USERNAME}:wrong", f"oci:{layout}:app", f"{IMAGE}:2"),
        ("login", "--username", USERNAME, "--password", "wrong", NAME),
    )
    said = []
    for client in (clients("skopeo-name"), clients("skopeo")):
        ran = hub(listening=False).run(client, unreachable) + hub().run(client, *refused)
        starts = ("pinging container registry", "trying to reuse blob", "logging into")
        said.append(
            [one.stderr[one.stderr.find(at) :] for one, at in zip(ran, starts, strict=True)]
        )
    assert said[0] == said[1]
    assert said[0][0].startswith(f"pinging container registry {REGISTRY}: ")


def test_the_hint_is_to_log_in_by_the_name(clients, hub) -> None:
    (ran,) = hub(anonymous_pull=False).run(clients("airbundle"), ("inspect", f"{IMAGE}:1"))
    assert ran.status == 7
    assert f"airbundle login {NAME}\n" in ran.stderr
