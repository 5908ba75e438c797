"""Proxies from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as Go interprets them.

The upper-case name of a variable has precedence over the lower-case one, ALL_PROXY is ignored, and
no proxy is used for ``localhost`` and loopback addresses. Unlike in Go, an invalid proxy URL is an
error, because direct requests may be forbidden if a proxy is configured.

https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from bundler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

Scheme = Literal["http", "https"]
_Address = IPv4Address | IPv6Address

_PORTS = {"http": "80", "https": "443"}


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of one environment; thread-safe."""

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    no_proxy: tuple[_NoProxyRule, ...] = ()
    cgi: bool = False
    """Whether this process is a CGI program, where HTTP_PROXY may be a client's ``Proxy`` header.
    """

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Read the variables. Proxy URLs are validated on use."""
        http, https, no_proxy = (
            environment.get(name) or environment.get(name.lower()) or ""
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        )
        entries = [entry.strip().lower() for entry in no_proxy.split(",")]
        if "*" in entries:
            rules = [_NoProxyRule(everything=True)]
        else:
            rules = [rule for entry in entries if (rule := _parse_no_proxy_rule(entry))]
        return cls(http, https, tuple(rules), cgi=bool(environment.get("REQUEST_METHOD")))

    def find_proxy(self, scheme: Scheme, host: str) -> str | None:
        """Return the URL of the proxy for ``scheme://host[:port]``; None: no proxy.

        Raises:
            ConfigError: the URL of the proxy is invalid or not supported.
        """
        value = self.https if scheme == "https" else self.http
        if not value:
            return None
        name, port = _split_port(host.strip().lower())
        address = _parse_address(name)
        if name == "localhost" or (address is not None and address.is_loopback):
            return None
        name, port = _to_ascii(name), port or _PORTS[scheme]
        if any(rule.covers(name, port, address) for rule in self.no_proxy):
            return None
        if scheme == "http" and self.cgi:
            raise ConfigError(
                "HTTP_PROXY: refused because REQUEST_METHOD is set (a CGI environment)",
                hint="unset HTTP_PROXY or REQUEST_METHOD",
            )
        return _parse_proxy(value, f"{scheme.upper()}_PROXY")


@dataclass(frozen=True, slots=True)
class _NoProxyRule:
    """One entry of NO_PROXY."""

    everything: bool = False
    network: IPv4Network | IPv6Network | None = None
    address: _Address | None = None
    suffix: str = ""
    """A domain with a leading dot."""
    itself: bool = False
    """Whether ``suffix`` matches the domain itself in addition to its subdomains."""
    port: str = ""

    def covers(self, host: str, port: str, address: _Address | None) -> bool:
        if self.everything:
            return True
        if self.network is not None:
            return address is not None and address in self.network
        if self.port and self.port != port:
            return False
        if self.address is not None:
            return address == self.address
        return host.endswith(self.suffix) or (self.itself and host == self.suffix[1:])


def _parse_no_proxy_rule(entry: str) -> _NoProxyRule | None:
    _, slash, bits = entry.partition("/")
    if slash and bits.isascii() and bits.isdigit():  # a prefix length, not a netmask
        try:
            return _NoProxyRule(network=ip_network(entry, strict=False))
        except ValueError:
            pass
    host, port = _split_port(entry)
    if (address := _parse_address(host)) is not None:
        return _NoProxyRule(address=address, port=port)
    host = host.removeprefix("*") if host.startswith("*.") else host
    if not host:
        return None
    itself = not host.startswith(".")
    return _NoProxyRule(suffix=f".{_to_ascii(host.removeprefix('.'))}", itself=itself, port=port)


def _split_port(text: str) -> tuple[str, str]:
    """Split ``host:port`` or ``[address]:port``; the port is empty if absent."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if bracket and (not rest or rest.startswith(":")):
            return host, rest[1:]
        return text, ""
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, ""


def _parse_address(text: str) -> _Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _to_ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _parse_proxy(value: str, variable: str) -> str:
    text = value if "://" in value else f"http://{value}"
    scheme, _, _ = text.partition("://")
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
        authority = parts.netloc
    except ValueError:
        usable, authority = False, ""
    if not usable or any(char.isspace() or not char.isprintable() for char in text):
        raise ConfigError(
            f"{variable}: invalid proxy URL",
            hint="set it to http://[user:password@]host[:port]",
        )
    if scheme.lower() not in ("http", "https"):
        raise ConfigError(
            f"{variable}: {scheme[:20]} proxies are not supported",
            hint="use an http or https proxy",
        )
    return f"{scheme.lower()}://{authority}"
