"""Which proxy a request goes through, by HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go reads them.

https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config says the rules: the upper-case name of
a variable goes before the lower-case one, ALL_PROXY is not read, and ``localhost`` and loopback
addresses are never sent through a proxy. Unlike there, a proxy that cannot be understood is an
error: a request that goes out directly where a proxy was asked for may not be what was allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
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
    """The proxies of one environment; safe to ask from several threads."""

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    exceptions: tuple[_Exception, ...] = ()
    cgi: bool = False
    """Whether a web server started us: then HTTP_PROXY may be a client's ``Proxy:`` header."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Read the variables; nothing is an error until a proxy is asked for."""
        return cls(
            http=_either(environment, "HTTP_PROXY"),
            https=_either(environment, "HTTPS_PROXY"),
            exceptions=_exceptions(_either(environment, "NO_PROXY")),
            cgi=bool(environment.get("REQUEST_METHOD")),
        )

    def find_proxy(self, scheme: Scheme, host: str) -> str | None:
        """The proxy's URL for requests to ``scheme://host[:port]``; None: go there directly.

        Raises:
            ConfigError: the proxy that would be used is not one.
        """
        value = self.https if scheme == "https" else self.http
        if not value or not self._may_proxy(*_split_port(host.strip().lower()), scheme):
            return None
        if scheme == "http" and self.cgi:
            raise ConfigError(
                "HTTP_PROXY is not believed where REQUEST_METHOD is set (a CGI environment)",
                hint="unset one of the two",
            )
        return _proxy_url(value, f"{scheme.upper()}_PROXY")

    def _may_proxy(self, host: str, port: str, scheme: Scheme) -> bool:
        if host == "localhost":
            return False
        address = _address(host)
        if address is not None and address.is_loopback:
            return False
        name = _ascii(host)
        port = port or _PORTS[scheme]
        return not any(rule.covers(name, port, address) for rule in self.exceptions)


@dataclass(frozen=True, slots=True)
class _Exception:
    """One entry of NO_PROXY."""

    everything: bool = False
    network: IPv4Network | IPv6Network | None = None
    address: _Address | None = None
    suffix: str = ""
    """Begins with a dot."""
    itself: bool = False
    """Whether the domain of ``suffix`` is meant beside what is below it."""
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


DIRECT = Proxies()


def _either(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.lower()) or ""


def _exceptions(text: str) -> tuple[_Exception, ...]:
    entries = [entry.strip().lower() for entry in text.split(",")]
    if "*" in entries:
        return (_Exception(everything=True),)
    rules = [_exception(entry) for entry in entries if entry]
    return tuple(rule for rule in rules if rule is not None)


def _exception(entry: str) -> _Exception | None:
    network = _network(entry)
    if network is not None:
        return _Exception(network=network)
    host, port = _split_port(entry)
    address = _address(host)
    if address is not None:
        return _Exception(address=address, port=port)
    host = host.removeprefix("*") if host.startswith("*.") else host
    if not host:
        return None
    itself = not host.startswith(".")
    return _Exception(suffix=f".{_ascii(host.removeprefix('.'))}", itself=itself, port=port)


def _split_port(text: str) -> tuple[str, str]:
    """``host:port`` or ``[address]:port``; the port is empty where there is none."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if bracket and (not rest or rest.startswith(":")):
            return host, rest[1:]
        return text, ""
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, ""


def _address(text: str) -> _Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _network(text: str) -> IPv4Network | IPv6Network | None:
    _, slash, bits = text.partition("/")
    if not slash or not (bits.isascii() and bits.isdigit()):
        return None  # a netmask in place of the number of bits is not CIDR notation
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _proxy_url(value: str, variable: str) -> str:
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
            f"{variable} does not hold a proxy's URL",
            hint="write http://[user:password@]host[:port]",
        )
    if scheme.lower() not in ("http", "https"):
        raise ConfigError(
            f"{variable}: {scheme[:20]} proxies are not supported",
            hint="name an http or https proxy",
        )
    return f"{scheme.lower()}://{authority}"
