"""Registries with an IPv6 address, with and without TLS.

Skopeo 1.9 refuses such references, so only airbundle runs here.
"""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop import servers

USER, PASSWORD = "user", "password"


@pytest.fixture(params=["http", "https"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeRegistry]:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    tls = None
    if request.param == "https":
        authority = trustme.CA()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("::1").configure_cert(tls)
        (tmp_path / "certs").mkdir()
        authority.cert_pem.write_to_path(str(tmp_path / "certs/ca.crt"))
    try:
        running = FakeRegistry(auth="bearer", tls=tls, address=("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    with running:
        running.add_image("x", "1")
        yield running


@pytest.mark.parametrize("name", ["airbundle", "skopeo-name"])
def test_every_command_accepts_ipv6_address(
    clients, registry: FakeRegistry, tmp_path: Path, name: str
) -> None:
    client = clients(name)
    trust_authority(client, registry, tmp_path)
    keep = ("--authfile", client.home / "auth.json")
    creds = ("--username", USER, "--password", PASSWORD)
    trust = () if registry.tls else ("--tls-verify=false",)
    client.ok("login", *trust, *keep, *creds, registry.host)
    assert list(json.loads((client.home / "auth.json").read_text())["auths"]) == [registry.host]
    image = f"docker://{registry.host}/x"
    assert json.loads(client.ok("inspect", *trust, *keep, f"{image}:1"))["Name"] == image[9:]
    layout = images.write_layout(tmp_path / "layout", {"app": images.image(images.layer({}))})
    for side, source, destination in (
        ("src", f"{image}:1", f"oci:{tmp_path}/pulled:1"),
        ("dest", f"oci:{layout}:app", f"{image}:2"),
    ):
        options = (f"--{side}-authfile", *keep[1:])
        options += () if registry.tls else (f"--{side}-tls-verify=false",)
        client.ok("copy", *options, source, destination)
    assert json.loads(client.ok("list-tags", *trust, *keep, image))["Tags"] == ["1", "2"]
    client.ok("delete", *trust, *keep, f"{image}:2")
    client.ok("logout", *keep, registry.host)


def trust_authority(client: servers.Client, registry: FakeRegistry, tmp_path: Path) -> None:
    """Install the certificate authority of the registry in certs.d."""
    if registry.tls:
        directory = client.home / f".config/containers/certs.d/{registry.host}"
        directory.mkdir(parents=True)
        (directory / "ca.crt").write_bytes((tmp_path / "certs/ca.crt").read_bytes())
