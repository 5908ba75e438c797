"""The flags that say how a registry is reached do for us what they do for Skopeo.

A verdict is whether a command succeeds; what they print is compared where both do.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.registry import FakeRegistry
    from tests.interop import servers

USER, PASSWORD = "alice", "correct horse"


@pytest.fixture
def image(tls_registry, skopeo: servers.Client, repository: str, tmp_path: Path) -> str:
    """An index of two platforms in a registry that wants a password."""
    index = images.multi_platform("app", "linux/amd64", "linux/arm64", "linux/arm/v6")
    layout = images.write_layout(tmp_path / "layout", {"app": index})
    name = f"docker://{tls_registry.host}/{repository}:1"
    way = ("--dest-cert-dir", tls_registry.ca.parent, "--dest-creds", f"{USER}:{PASSWORD}")
    skopeo.ok("copy", "--all", *way, f"oci:{layout}:app", name)
    return name


@pytest.fixture
def both(skopeo: servers.Client, airbundle: servers.Client):
    """Runs one command line with both programs; their outputs, None where they failed."""

    def run(*arguments: object) -> tuple[str | None, str | None]:
        done = skopeo(*arguments), airbundle(*arguments)
        for one in done:
            assert "internal error" not in one.stderr
            assert PASSWORD not in one.stderr
        theirs, ours = (one.stdout if one.returncode == 0 else None for one in done)
        return theirs, ours

    return run


SECRETS = {
    "creds": [f"--creds={USER}:{PASSWORD}"],
    "wrong creds": [f"--creds={USER}:wrong"],
    "username": ["--username", USER, "--password", PASSWORD],
    "wrong password": ["--username", USER, "--password", "wrong"],
    "no password": ["--username", USER],
    "no username": ["--password", PASSWORD],
    "nobody": ["--no-creds"],
    "creds and nobody": [f"--creds={USER}:{PASSWORD}", "--no-creds"],
    "username and nobody": ["--username", USER, "--password", PASSWORD, "--no-creds"],
    "creds and username": [f"--creds={USER}:{PASSWORD}", "--username", USER],
    "token": ["--registry-token", "nonsense"],
    "none": [],
}


@pytest.mark.parametrize("said", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("command", ["inspect", "list-tags"])
def test_the_same_credentials_are_taken(both, tls_registry, image: str, command, said) -> None:
    way = ["--cert-dir", tls_registry.ca.parent, *said]
    place = image if command == "inspect" else image.removesuffix(":1")
    theirs, ours = both(command, *way, place)
    assert (ours is None) == (theirs is None)
    if command == "list-tags":
        assert ours == theirs


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (["--tls-verify=false"], True),
        (["--tls-verify"], False),
        ([], False),
        (["--tls-verify=true", "--cert-dir", "{ca}"], True),
        (["--cert-dir", "{ca}/none"], False),
    ],
)
def test_the_same_registries_are_believed(both, tls_registry, image: str, said, taken) -> None:
    said = [text.format(ca=tls_registry.ca.parent) for text in said]
    theirs, ours = both("inspect", "--raw", f"--creds={USER}:{PASSWORD}", *said, image)
    assert (theirs is not None, ours is not None) == (taken, taken)
    assert ours == theirs


@pytest.mark.parametrize(
    "flags",
    [
        ["--override-arch", "arm64"],
        ["--override-arch=arm"],
        ["--override-arch=arm", "--override-variant", "v7"],
        ["--override-arch=arm", "--override-variant=v5"],
        ["--override-arch", "s390x"],
        ["--override-os", "windows"],
        ["--override-os", "linux", "--override-arch", "amd64"],
    ],
)
def test_the_same_platform_is_chosen(both, tls_registry, image: str, flags) -> None:
    way = ["--cert-dir", tls_registry.ca.parent, f"--creds={USER}:{PASSWORD}"]
    theirs, ours = both(*flags, "inspect", "--config", "--raw", *way, image)
    assert ours == theirs
    _, after = both("inspect", "--config", "--raw", *way, image, *flags)
    assert after == ours


def test_a_plain_authfile_serves_both_sides(
    airbundle: servers.Client, tls_registry, image: str, repository: str, tmp_path: Path
) -> None:
    authfile = tmp_path / "auth.json"
    ca = tls_registry.ca.parent
    airbundle.ok(
        *("login", "--authfile", authfile, "--cert-dir", ca, "-u", USER, "--password-stdin"),
        tls_registry.host,
        stdin=PASSWORD,
    )
    copied = f"docker://{tls_registry.host}/{repository}-copy:1"
    way = ("--src-cert-dir", ca, "--dest-cert-dir", ca)
    assert airbundle("copy", *way, image, copied).returncode == 7
    airbundle.ok("copy", *way, "--authfile", authfile, image, copied)
    airbundle.ok("delete", "--cert-dir", ca, "--authfile", authfile, copied)
    airbundle.ok("logout", "--authfile", authfile, "--tls-verify=false", tls_registry.host)
    assert not json.loads(authfile.read_text()).get("auths")


def test_a_token_is_sent_as_it_is(
    airbundle: servers.Client, token_registry, repository: str, tmp_path: Path
) -> None:
    layout = images.write_layout(tmp_path / "layout", {"app": images.image()})
    plain, name = "--tls-verify=false", f"docker://{token_registry.host}/{repository}:1"
    secret = f"{token_registry.username}:{token_registry.password}"
    airbundle.ok("copy", plain, "--dest-creds", secret, f"oci:{layout}:app", name)
    issuer = token_registry.issuer
    url = f"{issuer.realm}?service={issuer.service}&scope=repository:{repository}:pull"
    asking = Request(url)
    asking.add_unredirected_header("Authorization", _basic(secret))
    with urlopen(asking) as answer:
        token = json.load(answer)["token"]
    assert airbundle("inspect", "-n", plain, name).returncode == 7
    airbundle.ok("inspect", "-n", plain, "--registry-token", token, name)


def test_what_fails_for_now_is_repeated_as_often_as_its_user_wants(
    airbundle: servers.Client, fake: FakeRegistry
) -> None:
    name = f"docker://{fake.host}/library/app:1"
    raw = airbundle.ok("inspect", "--raw", "--tls-verify=false", name)
    again = (
        "inspect",
        "--raw",
        "--tls-verify=false",
        "--retry-times=1",
        "--retry-delay=10ms",
        name,
    )
    fake.fail("GET", "/manifests/", status=429, times=6)
    ours = airbundle(*again)
    assert (ours.returncode, ours.stdout) == (0, raw)
    assert "(1/1)" in ours.stderr
    fake.fail("GET", "/manifests/", status=404, times=1)
    assert "(1/1)" not in airbundle(*again).stderr


def test_a_registry_is_told_who_asks(airbundle: servers.Client, fake: FakeRegistry) -> None:
    arguments = ("--user-agent-prefix", "plant-7", "inspect", "--raw", "--tls-verify=false")
    airbundle.ok(*arguments, f"docker://{fake.host}/library/app:1")
    agents = {request.headers["user-agent"] for request in fake.requests}
    assert len(agents) == 1
    assert re.fullmatch(r"plant-7 airbundle/\S+", agents.pop())


def test_a_command_ends_when_its_time_is_up(airbundle: servers.Client, fake: FakeRegistry) -> None:
    fake.fail("GET", "/manifests/", status=503, times=99)
    arguments = ("inspect", "--tls-verify=false", "--command-timeout", "300ms")
    ended = airbundle(*arguments, f"docker://{fake.host}/library/app:1", timeout=20)
    assert ended.returncode == 1
    assert "not finished within 0.3 s" in ended.stderr


def test_tls_is_held_to_what_a_file_allows(
    airbundle: servers.Client, tls_registry, image: str, tmp_path: Path
) -> None:
    file = tmp_path / "tls.yaml"
    way = ("--cert-dir", tls_registry.ca.parent, f"--creds={USER}:{PASSWORD}", image)
    arguments = ("--tls-details", file, "inspect", "--raw", *way)
    file.write_text("minVersion: '1.2'\nnamedGroups: [secp384r1]\n")
    airbundle.ok(*arguments)
    file.write_text("cipherSuites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n")
    airbundle.ok(*arguments)
    file.write_text("cipherSuites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n")
    assert airbundle(*arguments).returncode == 6
    file.write_text("namedGroups: [X25519MLKEM768, x25519]\n")
    assert airbundle(*arguments).returncode == 2


def _basic(secret: str) -> str:
    return f"Basic {base64.b64encode(secret.encode()).decode()}"
