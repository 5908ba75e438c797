"""Export and import with each kind of real registry preserve all content and names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop.written_files import COPY_UNCHANGED, read_digests

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
CONTENTS = {name: set(image.contents()) for name, image in IMAGES.items()}


@pytest.fixture(params=["registry", "tls_registry", "token_registry"])
def any_registry(request: pytest.FixtureRequest) -> servers.Registry:
    return request.getfixturevalue(request.param)


@pytest.fixture
def layout_bundle(airbundle: servers.Client, keys: Path, tmp_path: Path) -> Path:
    """A bundle of all images, exported from a layout."""
    images.write_layout(tmp_path / "images", IMAGES)
    manifest = tmp_path / "layout.txt"
    manifest.write_text("".join(f"oci:{tmp_path}/images:{name}\n" for name in IMAGES))
    airbundle.ok("export", manifest, tmp_path / "stick", "--sign-key", keys / "ours.key")
    return tmp_path / "stick"


@pytest.fixture
def issuer(token_registry: servers.Registry) -> Iterator[servers.TokenIssuer]:
    """The token issuer, whose tokens may end before their reported lifetime."""
    assert token_registry.issuer is not None
    yield token_registry.issuer
    token_registry.issuer.lifetime = 300


def test_export_from_registry_is_complete(
    any_registry, repository, airbundle, skopeo, keys, tmp_path
) -> None:
    manifest = push_images(any_registry, repository, skopeo, tmp_path)

    airbundle.ok("export", manifest, tmp_path / "bundle", "--sign-key", keys / "ours.key")

    airbundle.ok("verify", tmp_path / "bundle", "--key", keys / "ours.pub")
    for name, content in CONTENTS.items():
        exported = f"oci:{tmp_path}/bundle:{any_registry.host}/{repository}/{name}"
        skopeo.ok(*COPY_UNCHANGED, exported, f"dir:{tmp_path}/read-{name}")
        assert read_digests(tmp_path / f"read-{name}") == content


def test_import_into_registry_is_complete(
    any_registry, repository, layout_bundle, airbundle, skopeo, keys, tmp_path
) -> None:
    target = f"docker://{any_registry.host}/{repository}"
    command = (
        "import",
        layout_bundle,
        target,
        "--key",
        keys / "ours.pub",
        *access_options(any_registry),
    )

    airbundle.ok(*command)
    again = json.loads(airbundle.ok(*command, "--json"))

    assert pull_images(any_registry, repository, skopeo, tmp_path) == CONTENTS
    assert again


def test_export_renews_expired_tokens(
    token_registry, issuer, repository, airbundle, skopeo, tmp_path
) -> None:
    manifest = push_images(token_registry, repository, skopeo, tmp_path, {"requestsPerSecond": 5})
    issuer.lifetime = 2.5
    issuer.issued.clear()

    airbundle.ok("export", manifest, tmp_path / "bundle", "--unsigned")

    repositories = [scope.split(":")[1] for scope in issuer.issued]
    assert len(repositories) > len(set(repositories))
    assert airbundle("verify", tmp_path / "bundle").returncode == 4


def test_import_renews_expired_tokens(
    token_registry, issuer, repository, layout_bundle, airbundle, skopeo, keys, tmp_path
) -> None:
    target = tmp_path / "target.yaml"
    there = {"target": f"docker://{token_registry.host}/{repository}"}
    reached = access_settings(token_registry, tmp_path, {"requestsPerSecond": 8})
    target.write_text(json.dumps(there | reached))
    issuer.lifetime = 2.5
    issuer.issued.clear()

    airbundle.ok("import", layout_bundle, target, "--key", keys / "ours.pub")

    repositories = [scope.split(":")[1] for scope in issuer.issued]
    assert len(repositories) > len(set(repositories))
    issuer.lifetime = 300
    assert pull_images(token_registry, repository, skopeo, tmp_path) == CONTENTS


@pytest.mark.parametrize("kind", ["tls_registry", "token_registry"])
def test_import_uses_stored_login(
    kind, request, repository, layout_bundle, airbundle, keys
) -> None:
    """After a login no command needs a password; after a logout every command does."""
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


def test_skopeo_and_airbundle_share_login(
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
    access = ("--src-authfile", authfile, "--src-cert-dir", trust[1])
    airbundle.ok("copy", *access, target, f"dir:{tmp_path}/read")

    assert read_digests(tmp_path / "read") == CONTENTS["web:1.0"]


def push_images(
    there: servers.Registry,
    repository: str,
    skopeo: servers.Client,
    tmp_path: Path,
    limits: dict[str, float] | None = None,
) -> Path:
    """Push the images with skopeo; return a bundle manifest that lists them."""
    source = images.write_layout(tmp_path / "source", IMAGES)
    for name in IMAGES:
        options = skopeo_options(there, "dest")
        skopeo.ok(
            *COPY_UNCHANGED,
            *options,
            f"oci:{source}:{name}",
            f"docker://{there.host}/{repository}/{name}",
        )
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(
        json.dumps(
            {
                "registries": {there.host: access_settings(there, tmp_path, limits)},
                "images": [f"{there.host}/{repository}/{name}" for name in IMAGES],
            }
        )
    )
    return manifest


def access_settings(
    there: servers.Registry, tmp_path: Path, limits: dict[str, float] | None = None
) -> dict[str, object]:
    """Return the access settings of a registry for a file."""
    output: dict[str, object] = {
        "tls": {"caFile": str(there.ca)} if there.ca else {"plainHttp": True}
    }
    if there.username and there.password:
        (tmp_path / "user").write_text(there.username)
        (tmp_path / "password").write_text(there.password)
        output["credentials"] = {"usernameFile": "user", "passwordFile": "password"}
    if limits:
        output["limits"] = limits
    return output


def access_options(there: servers.Registry) -> list[str]:
    """Return the access settings of a registry as options of a command."""
    trust = f"--cert-dir={there.ca.parent}" if there.ca else "--tls-verify=false"
    return [trust, f"--creds={there.creds}"] if there.username else [trust]


def skopeo_options(there: servers.Registry, side: str) -> list[str]:
    """Return the access settings as options of ``skopeo copy`` for one side."""
    return [option.replace("--", f"--{side}-", 1) for option in access_options(there)]


def pull_images(
    there: servers.Registry, prefix: str, skopeo: servers.Client, tmp_path: Path
) -> dict[str, set[str]]:
    """Return every image below ``prefix``, pulled by skopeo."""
    found = {}
    for name in IMAGES:
        options = skopeo_options(there, "src")
        source = f"docker://{there.host}/{prefix}/{name}"
        skopeo.ok(*COPY_UNCHANGED, *options, source, f"dir:{tmp_path}/back-{name}")
        found[name] = read_digests(tmp_path / f"back-{name}")
    return found
