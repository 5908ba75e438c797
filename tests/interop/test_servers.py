"""The test servers behave as the other tests require."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from pathlib import Path


def test_plain_registry_stores_pushed_image(registry, repository, skopeo) -> None:
    image = images.multi_platform("app", "linux/amd64", "linux/arm64")
    images.push(registry.host, repository, image, "1")

    name = f"docker://{registry.host}/{repository}:1"
    raw = skopeo.ok("inspect", "--raw", "--tls-verify=false", name)

    assert images.sha256(raw.encode()) == image.digest


def test_htpasswd_registry_refuses_anonymous_push(
    tls_registry, repository, skopeo, tmp_path
) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": images.image()})
    copy = ("copy", "--dest-cert-dir", tls_registry.ca.parent)
    name = f"docker://{tls_registry.host}/{repository}:1"

    assert skopeo(*copy, f"oci:{layout}:a", name).returncode != 0
    skopeo.ok(*copy, "--dest-creds", tls_registry.creds, f"oci:{layout}:a", name)


def test_token_registry_accepts_tokens_of_its_issuer(
    token_registry, repository, skopeo, tmp_path
) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": images.image()})
    copy = ("copy", "--dest-tls-verify=false", "--dest-creds")
    name = f"docker://{token_registry.host}/{repository}:1"

    assert skopeo(*copy, "bob:wrong", f"oci:{layout}:a", name).returncode != 0
    skopeo.ok(*copy, token_registry.creds, f"oci:{layout}:a", name)
    assert any(repository in scope for scope in token_registry.issuer.issued)


def test_token_expires_after_configured_lifetime(token_registry, repository) -> None:
    """The registry refuses a token after ``lifetime``, not after ``reported_lifetime``."""
    issuer = token_registry.issuer
    issuer.lifetime = 2
    try:
        scope = f"/token?scope=repository:{repository}:pull,push"
        basic = "Basic Ym9iOmJhdHRlcnkgc3RhcGxl"
        token = issuer.answer(scope, basic)[1]["token"]
    finally:
        issuer.lifetime = 300
    bearer = {"Authorization": f"Bearer {token}"}
    images.push(token_registry.host, repository, images.image(), "1", headers=bearer)
    time.sleep(3.1)

    with pytest.raises(AssertionError, match="401"):
        images.push(token_registry.host, repository, images.image(), "2", headers=bearer)


def test_missing_program_error_names_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(servers.MissingProgramError) as caught:
        servers.program("htpasswd")
    assert caught.value.package == "apache2-utils"
