from __future__ import annotations

import socket

import pytest
from hypothesis import given, strategies as st

from bundler.errors import RegistryError
from bundler.registry.auth import origin
from bundler.registry.auth.origin import (
    Origin,
    check_redirect,
    is_same_site,
    redact,
    resolve_location,
)


@pytest.fixture
def addresses(monkeypatch):
    """Replace name resolution."""
    known = {}

    def look_up(host, *_, **__):
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], 0))]

    monkeypatch.setattr(origin.socket, "getaddrinfo", look_up)
    return known


def test_default_port_is_same_origin():
    assert Origin.of("https://A.example/x?y") == Origin.of("https://a.example:443")
    assert Origin.of("http://a.example") != Origin.of("https://a.example")
    assert Origin.of("https://a.example") != Origin.of("https://a.example:444")
    assert str(Origin.of("http://[::1]:5000/v2/")) == "http://[::1]:5000"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/",
        "file:///etc/passwd",
        "https://user:secret@a.example/",
        "https://a.example\\@b.example/",
        "https:///x",
        "https://a.example:99999/",
        "https://a.example/\r\nX: y",
        "https://[a/",
        "a.example",
        "https://a.example/" + "x" * 20_000,
    ],
)
def test_unusable_url_is_refused(url):
    with pytest.raises(RegistryError) as caught:
        Origin.of(url)
    assert "secret" not in str(caught.value)


@given(st.text())
def test_arbitrary_url_is_parsed_or_refused(url):
    try:
        Origin.of(url)
        resolve_location("https://a.example/v2/", url)
    except RegistryError:
        pass


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/x", "https://a.example/v2/x"),
        ("?digest=1", "https://a.example/v2/b/?digest=1"),
        ("//b.example/x", "https://b.example/x"),
        ("https://c.example:8443/y?z", "https://c.example:8443/y?z"),
        ("/%7Euser/x%2fy?sig=a%7Eb%3d", "https://a.example/%7Euser/x%2fy?sig=a%7Eb%3d"),
        ("https://c.example/a/./c/../d", "https://c.example/a/./c/../d"),
        ("https://c.example//b//x", "https://c.example//b//x"),
        ('https://c.example/?p={"a":1}&q=[x]|\'', 'https://c.example/?p={"a":1}&q=[x]|\''),
        ("https://c.example/x?", "https://c.example/x?"),
        ("https://c.example?x", "https://c.example?x"),
        ("https://c.example/x?sig=1#frag", "https://c.example/x?sig=1"),
        ("https://c.example/a b?n=\u00c3\u00a4", "https://c.example/a%20b?n=%C3%A4"),
    ],
)
def test_location_is_relative_to_request(location, expected):
    assert resolve_location("https://a.example/v2/b/", location) == expected


def test_location_never_leaves_tls():
    with pytest.raises(RegistryError) as caught:
        resolve_location("https://a.example/v2/", "http://a.example/v2/upload?_state=secret")
    assert caught.value.hint is not None
    assert "X-Forwarded-Proto" in caught.value.hint
    assert "secret" not in str(caught.value)
    assert resolve_location("http://a.example/", "https://a.example/") == "https://a.example/"


def test_redacted_url_contains_no_secret():
    assert redact("https://me:pw@a.example/x?sig=1#f") == "https://a.example/x"
    assert redact("https://a.example/\x1b[31m") == "https://a.example/?[31m"


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::ffff:169.254.169.254]/",
        "http://224.0.0.1/",
    ],
)
@pytest.mark.parametrize("registry", ["https://203.0.113.7", "http://10.0.0.5:5000"])
def test_redirect_to_metadata_service_is_refused(registry, target):
    with pytest.raises(RegistryError):
        check_redirect(Origin.of(registry), Origin.of(target), look_up_hosts=False)


def test_public_registry_may_not_redirect_to_private_address(addresses):
    addresses |= {"r.example": "93.184.216.34", "in.example": "10.1.1.1", "r.corp": "10.0.0.5"}
    inside = Origin.of("https://in.example/")
    with pytest.raises(RegistryError):
        check_redirect(Origin.of("https://r.example"), inside, look_up_hosts=True)
    check_redirect(Origin.of("https://r.corp"), inside, look_up_hosts=True)
    check_redirect(
        Origin.of("https://r.example"), Origin.of("https://cdn.example"), look_up_hosts=True
    )


@pytest.mark.parametrize(
    ("registry", "target", "expected"),
    [
        ("registry-1.docker.io", "auth.docker.io", True),
        ("quay.io", "quay.io", True),
        ("registry.gitlab.com", "gitlab.com", True),
        ("registry.example.co.uk", "auth.example.co.uk", True),
        ("registry.example.co.uk", "evil.co.uk", False),
        ("registry.shop.example.kawasaki.jp", "login.shop.example.kawasaki.jp", True),
        ("registry.kawasaki.jp", "evil.kawasaki.jp", False),
        ("victim.github.io", "evil.github.io", False),
        ("github.io", "evil.github.io", False),
        ("com", "org", False),
        ("registry.example.com", "example.com.evil.org", False),
        ("registry.example.com", "notexample.com", False),
        ("127.0.0.1", "localhost", True),
        ("10.0.0.5", "10.0.0.6", False),
        ("r.corp", "login.corp", True),
        ("public.test", "login.test", False),
    ],
)
def test_same_site_is_determined_by_registered_domain(addresses, registry, target, expected):
    addresses |= {"r.corp": "10.0.0.5", "login.corp": "10.0.0.6", "public.test": "93.184.216.34"}
    first, second = Origin.of(f"https://{registry}"), Origin.of(f"https://{target}")
    assert is_same_site(first, second, look_up_hosts=True) is expected
