"""The main job with real registries of each kind on either side: no byte and no name is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop.test_exchange import COPY, digests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop import servers

BASE = images.layer({"etc/os-release": b"ID=test\n" * 5000})
IMAGES = {
    "web:1.0": images.image(BASE, images.layer({"app": b"1.0"})),
    "web:1.1": images.image(BASE, images.layer({"app": b"1.1"})),
    "tool:1": images.multi_platform("tool", "linux/amd64", "linux/arm64", shared=BASE),
}
WHOLE = {name: set(one.contents()) for name, one in IMAGES.items()}


@pytest.fixture(params=["registry", "tls_registry", "token_registry"])
def any_registry(request: pytest.FixtureRequest) -> servers.Registry:
    return request.getfixturevalue(request.param)


@pytest.fixture
def layout_bundle(airbundle: servers.Client, keys: Path, tmp_path: Path) -> Path:
    """A bundle of all the images, made without a registry."""
    images.write_layout(tmp_path / "images", IMAGES)
    wanted = tmp_path / "layout.txt"
    wanted.write_text("".join(f"oci:{tmp_path}/images:{name}\n" for name in IMAGES))
    airbundle.ok("export", wanted, tmp_path / "stick", "--sign-key", keys / "ours.key")
    return tmp_path / "stick"


@pytest.fixture
def issuer(token_registry: servers.Registry) -> Iterator[servers.TokenIssuer]:
    """Its tokens are said to be good for minutes, and may be made to end before."""
    assert token_registry.issuer is not None
    yield token_registry.issuer
    token_registry.issuer.lasts = 300


def test_from_any_registry(any_registry, repository, airbundle, skopeo, keys, tmp_path) -> None:
    wanted = fill(any_registry, repository, skopeo, tmp_path)

    airbundle.ok("export", wanted, tmp_path / "bundle", "--sign-key", keys / "ours.key")

    airbundle.ok("verify", tmp_path / "bundle", "--key", keys / "ours.pub")
    for name, whole in WHOLE.items():
        held = f"oci:{tmp_path}/bundle:{any_registry.host}/{repository}/{name}"
        skopeo.ok(*COPY, held, f"dir:{tmp_path}/read-{name}")
        assert digests(tmp_path / f"read-{name}") == whole


def test_into_any_registry(
    any_registry, repository, layout_bundle, airbundle, skopeo, keys, tmp_path
) -> None:
    target = f"docker://{any_registry.host}/{repository}"
    command = ("import", layout_bundle, target, "--key", keys / "ours.pub", *access(any_registry))

    airbundle.ok(*command)
    again = json.loads(airbundle.ok(*command, "--json"))

    assert read_back(any_registry, repository, skopeo, tmp_path) == WHOLE
    assert again


def test_tokens_are_renewed_in_the_middle_of_an_export(
    token_registry, issuer, repository, airbundle, skopeo, tmp_path
) -> None:
    wanted = fill(token_registry, repository, skopeo, tmp_path, {"requestsPerSecond": 5})
    issuer.lasts = 2.5
    issuer.issued.clear()

    airbundle.ok("export", wanted, tmp_path / "bundle", "--unsigned")

    repositories = [scope.split(":")[1] for scope in issuer.issued]
    assert len(repositories) > len(set(repositories))
    assert airbundle("verify", tmp_path / "bundle").returncode == 4


def test_tokens_are_renewed_in_the_middle_of_an_import(
    token_registry, issuer, repository, layout_bundle, airbundle, skopeo, keys, tmp_path
) -> None:
    target = tmp_path / "target.yaml"
    there = {"target": f"docker://{token_registry.host}/{repository}"}
    reached = reach(token_registry, tmp_path, {"requestsPerSecond": 8})
    target.write_text(json.dumps(there | reached))
    issuer.lasts = 2.5
    issuer.issued.clear()

    airbundle.ok("import", layout_bundle, target, "--key", keys / "ours.pub")

    repositories = [scope.split(":")[1] for scope in issuer.issued]
    assert len(repositories) > len(set(repositories))
    issuer.lasts = 300
    assert read_back(token_registry, repository, skopeo, tmp_path) == WHOLE


@pytest.mark.parametrize("kind", ["tls_registry", "token_registry"])
def test_login_is_enough(kind, request, repository, layout_bundle, airbundle, keys) -> None:
    """After a login no command needs a password; after a logout all do."""
    there = request.getfixturevalue(kind)
    trust = ("--cert-dir", there.ca.parent) if there.ca else ("--tls-verify=false",)
    target = f"docker://{there.host}/{repository}"
    importing = ("import", layout_bundle, target, "--key", keys / "ours.pub", *trust)
    login = ("login", there.host, "--username", there.username, "--password-stdin", *trust)

    assert airbundle(*login, stdin="wrong").returncode == 7
    assert airbundle(*importing).returncode == 7
    airbundle.ok(*login, stdin=there.password)
    airbundle.ok(*importing)
    airbundle.ok("logout", there.host)
    assert airbundle(*importing).returncode == 7


def test_skopeo_and_we_share_a_login(
    tls_registry, repository, layout_bundle, airbundle, skopeo, tmp_path
) -> None:
    authfile = tmp_path / "auth.json"
    trust = ("--cert-dir", tls_registry.ca.parent)
    login = ("login", tls_registry.host, "--username", "alice", "--password-stdin")
    target = f"docker://{tls_registry.host}/{repository}/web:1.0"

    airbundle.ok(*login, *trust, "--authfile", authfile, stdin=tls_registry.password)
    source = f"oci:{tmp_path}/images:web:1.0"
    skopeo.ok("copy", "--dest-authfile", authfile, "--dest-cert-dir", trust[1], source, target)
    skopeo.ok("logout", tls_registry.host, "--authfile", authfile)
    skopeo.ok(*login, *trust, "--authfile", authfile, stdin=tls_registry.password)
    reading = ("--src-authfile", authfile, "--src-cert-dir", trust[1])
    airbundle.ok("copy", *reading, target, f"dir:{tmp_path}/read")

    assert digests(tmp_path / "read") == WHOLE["web:1.0"]


def fill(
    there: servers.Registry,
    repository: str,
    skopeo: servers.Client,
    tmp_path: Path,
    limits: dict[str, float] | None = None,
) -> Path:
    """Let skopeo push the images; the bundle manifest that wants them."""
    source = images.write_layout(tmp_path / "source", IMAGES)
    for name in IMAGES:
        options = skopeo_access(there, "dest")
        skopeo.ok(
            *COPY, *options, f"oci:{source}:{name}", f"docker://{there.host}/{repository}/{name}"
        )
    wanted = tmp_path / "wanted.yaml"
    wanted.write_text(
        json.dumps(
            {
                "registries": {there.host: reach(there, tmp_path, limits)},
                "images": [f"{there.host}/{repository}/{name}" for name in IMAGES],
            }
        )
    )
    return wanted


def reach(
    there: servers.Registry, tmp_path: Path, limits: dict[str, float] | None = None
) -> dict[str, object]:
    """What a file says of how to reach a registry."""
    said: dict[str, object] = {
        "tls": {"caFile": str(there.ca)} if there.ca else {"plainHttp": True}
    }
    if there.username and there.password:
        (tmp_path / "user").write_text(there.username)
        (tmp_path / "password").write_text(there.password)
        said["credentials"] = {"usernameFile": "user", "passwordFile": "password"}
    if limits:
        said["limits"] = limits
    return said


def access(there: servers.Registry) -> list[str]:
    """The same as options of a command."""
    trust = f"--cert-dir={there.ca.parent}" if there.ca else "--tls-verify=false"
    return [trust, f"--creds={there.creds}"] if there.username else [trust]


def skopeo_access(there: servers.Registry, side: str) -> list[str]:
    """The same as options of ``skopeo copy`` for one side."""
    return [option.replace("--", f"--{side}-", 1) for option in access(there)]


def read_back(
    there: servers.Registry, prefix: str, skopeo: servers.Client, tmp_path: Path
) -> dict[str, set[str]]:
    """Every image below ``prefix``, as skopeo pulls it."""
    found = {}
    for name in IMAGES:
        options = skopeo_access(there, "src")
        source = f"docker://{there.host}/{prefix}/{name}"
        skopeo.ok(*COPY, *options, source, f"dir:{tmp_path}/back-{name}")
        found[name] = digests(tmp_path / f"back-{name}")
    return found
