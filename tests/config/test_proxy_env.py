"""Proxies by the rules of Go's httpproxy, with the examples of its documentation."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from bundler.config.proxy_env import Proxies
from bundler.errors import ConfigError

PROXY = "http://proxy.corp:3128"
LABEL = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
HOST = st.lists(LABEL, min_size=2, max_size=4).map(".".join)


def read(**variables: str) -> Proxies:
    return Proxies.from_environment(variables)


def proxied(host: str, no_proxy: str) -> bool:
    proxies = read(HTTPS_PROXY=PROXY, NO_PROXY=no_proxy)
    return proxies.find_proxy("https", host) is not None


def test_no_variables_mean_no_proxy():
    assert Proxies.from_environment({}) == Proxies()
    assert Proxies().find_proxy("https", "example.com") is None


def test_scheme_determines_variable():
    proxies = read(HTTP_PROXY="http://a:1", HTTPS_PROXY="http://b:2")
    assert proxies.find_proxy("http", "example.com") == "http://a:1"
    assert proxies.find_proxy("https", "example.com") == "http://b:2"


def test_https_ignores_http_proxy_and_all_proxy():
    proxies = Proxies.from_environment(
        {"HTTP_PROXY": PROXY, "ALL_PROXY": PROXY, "all_proxy": PROXY}
    )
    assert proxies.find_proxy("https", "example.com") is None


def test_upper_case_variable_precedes_lower_case_unless_empty():
    upper = Proxies.from_environment(
        {"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}
    )
    assert upper.find_proxy("https", "example.com") == "http://upper:1"
    lower = read(HTTPS_PROXY="", https_proxy="http://lower:1")
    assert lower.find_proxy("https", "example.com") == "http://lower:1"


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("proxy.corp", "http://proxy.corp"),
        ("proxy.corp:3128", "http://proxy.corp:3128"),
        ("HTTPS://proxy.corp:3128/", "https://proxy.corp:3128"),
        ("http://u:p@proxy.corp:3128", "http://u:p@proxy.corp:3128"),
        ("[::1]:3128", "http://[::1]:3128"),
    ],
)
def test_proxy_scheme_is_optional(value: str, url: str):
    assert read(HTTPS_PROXY=value).find_proxy("https", "example.com") == url


@pytest.mark.parametrize(
    "value", ["http://", "http://:3128", "http://h:notaport", "http://[::1", "a b", "ht\ntp://x"]
)
def test_invalid_proxy_is_refused_without_its_password(value: str):
    value = value.replace("http://", "http://user:hunter2@", 1)
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as error:
        read(HTTPS_PROXY=value).find_proxy("https", "example.com")
    assert "hunter2" not in str(error.value)


def test_unsupported_proxy_scheme_is_refused():
    with pytest.raises(ConfigError) as raised:
        read(HTTPS_PROXY="socks5://u:p@h:1").find_proxy("https", "example.com")
    assert raised.value.hint == "use an http or https proxy"


def test_invalid_proxy_is_ignored_if_unused():
    assert read(HTTPS_PROXY="http://").find_proxy("https", "127.0.0.1:5000") is None
    assert read(HTTP_PROXY="http://").find_proxy("https", "example.com") is None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "LOCALHOST", "127.0.0.1", "127.9.9.9:1", "[::1]:5000"]
)
def test_loopback_is_never_proxied(host: str):
    assert not proxied(host, "")


def test_ipv4_mapped_loopback_is_never_proxied():
    assert not proxied("[::ffff:127.0.0.1]:5000", "")


@pytest.mark.parametrize(
    ("no_proxy", "host", "expected"),
    [
        ("foo.com", "foo.com", False),
        ("foo.com", "bar.foo.com", False),
        ("foo.com", "barfoo.com", True),
        (".foo.com", "foo.com", True),
        (".foo.com", "bar.foo.com", False),
        ("*.foo.com", "foo.com", True),
        ("*.foo.com", "bar.foo.com", False),
        ("FOO.com", "foo.COM", False),
        ("foo.com:443", "foo.com", False),
        ("foo.com:443", "foo.com:5000", True),
        ("foo.com:5000", "bar.foo.com:5000", False),
        (" other.com , foo.com ", "foo.com", False),
        (",,", "foo.com", True),
        (":443", "foo.com", True),
        ("*", "foo.com", False),
        ("a.com,*", "10.0.0.1", False),
        ("10.0.0.1", "10.0.0.1:5000", False),
        ("10.0.0.1:443", "10.0.0.1:5000", True),
        ("10.0.0.1:5000", "10.0.0.1:5000", False),
        ("10.0.0.0/8", "10.20.30.40:5000", False),
        ("10.0.0.0/8", "11.0.0.1", True),
        ("10.0.0.0/255.0.0.0", "10.0.0.1", True),
        ("fd00::/8", "[fd12::1]:5000", False),
        ("fd12::1", "[fd12::1]:5000", False),
        ("[fd12::1]:443", "[fd12::1]", False),
        ("[fd12::1]:443", "[fd12::1]:5000", True),
        ("10.0.0.1", "ten.foo.com", True),
        ("0.0.1", "10.0.0.1", False),
        ("bücher.example", "xn--bcher-kva.example", False),
    ],
)
def test_no_proxy_excludes_matching_hosts(no_proxy: str, host: str, expected: bool):
    assert proxied(host, no_proxy) is expected


def test_http_proxy_is_refused_in_cgi_environment():
    proxies = Proxies.from_environment(
        {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "REQUEST_METHOD": "GET", "NO_PROXY": "in.corp"}
    )
    with pytest.raises(ConfigError) as raised:
        proxies.find_proxy("http", "example.com")
    assert raised.value.hint == "unset HTTP_PROXY or REQUEST_METHOD"
    assert proxies.find_proxy("https", "example.com") == PROXY


def test_repr_contains_no_password():
    assert "hunter2" not in repr(read(HTTPS_PROXY="http://u:hunter2@h"))


@given(HOST, HOST)
def test_entry_covers_its_domain_and_subdomains(entry: str, host: str):
    assert proxied(host, entry) is not (host == entry or host.endswith(f".{entry}"))


@given(
    st.ip_addresses(v=4),
    st.integers(0, 32),
    st.ip_addresses(v=4).filter(lambda address: not address.is_loopback),
)
def test_network_covers_its_addresses(
    base: ipaddress.IPv4Address, bits: int, address: ipaddress.IPv4Address
):
    inside = address in ipaddress.ip_network(f"{base}/{bits}", strict=False)
    assert proxied(str(address), f"{base}/{bits}") is not inside


@given(st.text(), HOST)
def test_arbitrary_no_proxy_is_accepted(no_proxy: str, host: str):
    proxied(host, no_proxy)


@given(st.text())
def test_arbitrary_proxy_is_accepted_or_refused(value: str):
    proxies = read(HTTPS_PROXY=value)
    with suppress(ConfigError):
        url = proxies.find_proxy("https", "example.com")
        assert url is None if not value else url is not None
        assert url is None or url.startswith(("http://", "https://"))
