"""The options for access to a registry have the same effect as in Skopeo.

The tests compare whether both programs succeed, and their output if both do.
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
    """An index of several platforms in a registry that requires a password."""
    index = images.multi_platform("app", "linux/amd64", "linux/arm64", "linux/arm/v6")
    layout = images.write_layout(tmp_path / "layout", {"app": index})
    name = f"docker://{tls_registry.host}/{repository}:1"
    access = ("--dest-cert-dir", tls_registry.ca.parent, "--dest-creds", f"{USER}:{PASSWORD}")
    skopeo.ok("copy", "--all", *access, f"oci:{layout}:app", name)
    return name


@pytest.fixture
def both(skopeo: servers.Client, airbundle: servers.Client):
    """Run one command line with both programs; return their outputs, None for a failure."""

    def run(*arguments: object) -> tuple[str | None, str | None]:
        results = skopeo(*arguments), airbundle(*arguments)
        for result in results:
            assert "internal error" not in result.stderr
            assert PASSWORD not in result.stderr
        theirs, ours = (result.stdout if result.returncode == 0 else None for result in results)
        return theirs, ours

    return run


CREDENTIALS = {
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


@pytest.mark.parametrize("options", CREDENTIALS.values(), ids=CREDENTIALS)
@pytest.mark.parametrize("command", ["inspect", "list-tags"])
def test_credential_options_match_skopeo(both, tls_registry, image: str, command, options) -> None:
    access = ["--cert-dir", tls_registry.ca.parent, *options]
    reference = image if command == "inspect" else image.removesuffix(":1")
    theirs, ours = both(command, *access, reference)
    assert (ours is None) == (theirs is None)
    if command == "list-tags":
        assert ours == theirs


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        (["--tls-verify=false"], True),
        (["--tls-verify"], False),
        ([], False),
        (["--tls-verify=true", "--cert-dir", "{ca}"], True),
        (["--cert-dir", "{ca}/none"], False),
    ],
)
def test_tls_options_match_skopeo(both, tls_registry, image: str, options, accepted) -> None:
    options = [text.format(ca=tls_registry.ca.parent) for text in options]
    theirs, ours = both("inspect", "--raw", f"--creds={USER}:{PASSWORD}", *options, image)
    assert (theirs is not None, ours is not None) == (accepted, accepted)
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
def test_override_options_select_platform_of_skopeo(both, tls_registry, image: str, flags) -> None:
    access = ["--cert-dir", tls_registry.ca.parent, f"--creds={USER}:{PASSWORD}"]
    theirs, ours = both(*flags, "inspect", "--config", "--raw", *access, image)
    assert ours == theirs
    _, after = both("inspect", "--config", "--raw", *access, image, *flags)
    assert after == ours


def test_authfile_option_applies_to_both_sides(
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
    access = ("--src-cert-dir", ca, "--dest-cert-dir", ca)
    assert airbundle("copy", *access, image, copied).returncode == 7
    airbundle.ok("copy", *access, "--authfile", authfile, image, copied)
    airbundle.ok("delete", "--cert-dir", ca, "--authfile", authfile, copied)
    airbundle.ok("logout", "--authfile", authfile, tls_registry.host)
    assert not json.loads(authfile.read_text()).get("auths")


def test_registry_token_is_sent_unchanged(
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


def test_retry_times_limits_retries_of_temporary_failures(
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
        "--patience=0s",
        name,
    )
    fake.fail("GET", "/manifests/", status=503, times=1)
    ours = airbundle(*again)
    assert (ours.returncode, ours.stdout) == (0, raw)
    assert "(1/1)" in ours.stderr
    fake.fail("GET", "/manifests/", status=404, times=1)
    assert "(1/1)" not in airbundle(*again).stderr


def test_user_agent_prefix_is_sent(airbundle: servers.Client, fake: FakeRegistry) -> None:
    arguments = ("--user-agent-prefix", "plant-7", "inspect", "--raw", "--tls-verify=false")
    airbundle.ok(*arguments, f"docker://{fake.host}/library/app:1")
    agents = {request.headers["user-agent"] for request in fake.requests}
    assert len(agents) == 1
    assert re.fullmatch(r"plant-7 airbundle/\S+", agents.pop())


def test_command_timeout_ends_command(airbundle: servers.Client, fake: FakeRegistry) -> None:
    fake.fail("GET", "/manifests/", status=503, times=99)
    arguments = ("inspect", "--tls-verify=false", "--command-timeout", "300ms")
    ended = airbundle(*arguments, f"docker://{fake.host}/library/app:1", timeout=20)
    assert ended.returncode == 1
    assert "not finished within 0.3 s" in ended.stderr


def test_tls_details_restrict_tls(
    airbundle: servers.Client, tls_registry, image: str, tmp_path: Path
) -> None:
    file = tmp_path / "tls.yaml"
    access = ("--cert-dir", tls_registry.ca.parent, f"--creds={USER}:{PASSWORD}", image)
    arguments = ("--tls-details", file, "inspect", "--raw", *access)
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
