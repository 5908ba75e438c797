"""Credentials of a registry are sent to its token service, even if it is on another host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.named_hosts import PASSWORD, REPOSITORY, USERNAME, NamedHosts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel("network namespaces", "mounts")

CREDS = ("--creds", f"{USERNAME}:{PASSWORD}")


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        pytest.param("quay.io", "https://quay.io/v2/auth", id="quay.io"),
        pytest.param("registry.gitlab.com", "https://gitlab.com/jwt/auth", id="gitlab.com"),
        pytest.param(
            "registry.example.com", "https://gitlab.example.com/jwt/auth", id="own GitLab"
        ),
        pytest.param("registry", "https://registry:443/token", id="one label"),
        pytest.param("registry.plant", "https://login.plant/token", id="network of its own"),
    ],
)
def test_credentials_are_sent_to_token_service_of_same_domain(
    client, tmp_path: Path, registry: str, realm: str
) -> None:
    tokens = realm.split("/")[2].removesuffix(":443")
    names = tuple({registry, tokens})
    hosts = NamedHosts(tmp_path / "hosts", names, realm, anonymous_pull=False)
    image = f"docker://{registry}:443/{REPOSITORY}:1"
    (result,) = hosts.run(client, ("inspect", "--no-tags", *CREDS, image))
    assert result.status == 0, result.stderr
    assert {host.removesuffix(":443") for host in result.hosts} == {registry, tokens}
    assert {host.removesuffix(":443") for host in result.password_receivers()} == {tokens}


@pytest.mark.parametrize(
    "tokens", ["auth.evil.com", "docker.io.evil.com", "registry-1.docker.io.evil.com", "dockerio"]
)
def test_credentials_are_not_sent_to_token_service_of_other_domain(
    clients, tmp_path: Path, tokens: str
) -> None:
    names = ("registry-1.docker.io", tokens)
    hosts = NamedHosts(tmp_path / "hosts", names, f"https://{tokens}/token")
    image = f"docker://docker.io/{REPOSITORY}:1"
    (result,) = hosts.run(clients("airbundle"), ("inspect", *CREDS, image))
    assert result.status == 7
    assert "belongs to another domain" in result.stderr
    assert result.hosts == {"registry-1.docker.io"}
    assert result.password_receivers() == set()
