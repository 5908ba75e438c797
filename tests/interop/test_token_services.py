"""Token services at hosts of their own receive the credentials if they belong to the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.named_hosts import PASSWORD, REPOSITORY, USERNAME, Hosts

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
def test_its_token_service_is_given_the_credentials(
    client, tmp_path: Path, registry: str, realm: str
) -> None:
    tokens = realm.split("/")[2].removesuffix(":443")
    names = tuple({registry, tokens})
    hosts = Hosts(tmp_path / "hosts", names, realm, anonymous_pull=False)
    image = f"docker://{registry}:443/{REPOSITORY}:1"
    (ran,) = hosts.run(client, ("inspect", "--no-tags", *CREDS, image))
    assert ran.status == 0, ran.stderr
    assert {host.removesuffix(":443") for host in ran.hosts} == {registry, tokens}
    assert {host.removesuffix(":443") for host in ran.given_password()} == {tokens}


@pytest.mark.parametrize(
    "tokens", ["auth.evil.com", "docker.io.evil.com", "registry-1.docker.io.evil.com", "dockerio"]
)
def test_a_stranger_is_not_asked(clients, tmp_path: Path, tokens: str) -> None:
    names = ("registry-1.docker.io", tokens)
    hosts = Hosts(tmp_path / "hosts", names, f"https://{tokens}/token")
    image = f"docker://docker.io/{REPOSITORY}:1"
    (ran,) = hosts.run(clients("airbundle"), ("inspect", *CREDS, image))
    assert ran.status == 6
    assert "does not belong to it" in ran.stderr
    assert ran.hosts == {"registry-1.docker.io"}
    assert ran.given_password() == set()
