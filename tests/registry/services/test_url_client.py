"""Downloads from URLs that the author of an image chooses."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from bundler.cancel import Cancellation
from bundler.config.registry_access import RegistryAccess, TlsConfig
from bundler.errors import NotFoundError, RefusedRequestError, RegistryError
from bundler.events import discard
from bundler.registry.auth.origin import Origin
from bundler.registry.services.url_client import UrlClient
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN_PRIVATE = Origin("http", "10.1.2.3", 5000)
PUBLIC = Origin("https", "registry.example.com", 443)


def create_client(registry: Origin | None, access: RegistryAccess | None = None) -> UrlClient:
    """Create a client for the URLs in images of ``registry``."""
    access = access or RegistryAccess("registry.example.com")
    return UrlClient(access, registry, cancellation=Cancellation(), emit=discard)


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        running.add_blob("far", b"layer")
        yield running


def find_url(server: FakeRegistry) -> str:
    """Return the URL of the layer."""
    return f"{server.url}/v2/far/blobs/{next(iter(server.repository('far').blobs))}"


def test_image_of_plain_private_registry_may_use_private_url(server: FakeRegistry):
    with create_client(PLAIN_PRIVATE).get(find_url(server), subject="layer") as response:
        assert response.read(100, "layer") == b"layer"
    assert "authorization" not in server.requests[-1].headers


@pytest.mark.parametrize(
    "registry", [None, PUBLIC, Origin("http", "8.8.8.8", 80), Origin("https", "10.1.2.3", 443)]
)
def test_other_images_may_use_https_only(server: FakeRegistry, registry: Origin | None):
    with pytest.raises(RefusedRequestError, match="without TLS"):
        create_client(registry).get(find_url(server), subject="layer")
    assert not server.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "192.168.1.1", "localhost"])
def test_private_address_is_refused(host: str):
    with pytest.raises(RefusedRequestError, match="private address"):
        create_client(PUBLIC).get(f"https://{host}/layer", subject="layer")


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0/"])
def test_link_local_address_is_always_refused(url: str):
    with pytest.raises(RefusedRequestError, match="forbidden address"):
        create_client(PLAIN_PRIVATE).get(url, subject="layer")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://user:secret@host/", "ftp://host/"])
def test_url_of_other_kind_is_refused(url: str):
    with pytest.raises(RegistryError) as caught:
        create_client(PLAIN_PRIVATE).get(url, subject="layer")
    assert "secret" not in str(caught.value)


def test_redirect_is_checked_as_the_url(server: FakeRegistry):
    server.fail("GET", "/v2/far", redirect="http://169.254.169.254/latest")
    with pytest.raises(RefusedRequestError, match=r"169\.254\.169\.254"):
        create_client(PLAIN_PRIVATE).get(find_url(server), subject="layer")


def test_redirects_are_bounded(server: FakeRegistry):
    server.fail("GET", times=None, redirect=find_url(server))
    with pytest.raises(RegistryError, match="more than 5 redirects"):
        create_client(PLAIN_PRIVATE).get(find_url(server), subject="layer")
    assert len(server.requests) == 6


def test_name_that_resolves_to_private_address_on_connection_is_refused(
    monkeypatch: pytest.MonkeyPatch,
):
    """A name resolves to a public address when it is checked, and to loopback afterwards."""
    authority = trustme.CA()
    resolve, answers = socket.getaddrinfo, ["8.8.8.8"]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda _, *more, **options: resolve(
            answers.pop() if answers else "127.0.0.1", *more, **options
        ),
    )
    with authority.cert_pem.tempfile() as ca:
        access = RegistryAccess("registry.example.com", tls=TlsConfig(ca_files=(Path(ca),)))
        with FakeRegistry(tls=_create_context(authority)) as server:
            url = f"https://cdn.example.com:{server.port}/v2/far/blobs/layer"
            with pytest.raises(RefusedRequestError, match="private address"):
                create_client(PUBLIC, access).get(url, subject="layer")
            assert not server.requests


def test_missing_layer_is_not_found_without_query_of_url(server: FakeRegistry):
    url = f"{server.url}/v2/far/blobs/sha256:{'0' * 64}?secret=1"
    with pytest.raises(NotFoundError) as caught:
        create_client(PLAIN_PRIVATE).get(url, subject="layer")
    assert "secret" not in str(caught.value)


def test_layer_continues_at_offset(server: FakeRegistry):
    with create_client(PLAIN_PRIVATE).get(find_url(server), subject="layer", offset=3) as response:
        assert response.status == 206
        assert response.read(100, "layer") == b"er"


def _create_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cdn.example.com").configure_cert(context)
    return context
