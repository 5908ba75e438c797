"""Origins: the hosts that may receive credentials, and the hosts that a registry may redirect to.

A registry can send URLs of other hosts, in ``Location`` headers and as the realm of its token
service. These URLs are untrusted.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin, urlsplit

from bundler.errors import RefusedRequestError

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[!-\[\]-~]+")
_AUTHORITY = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*", re.IGNORECASE)
_MAX_URL = 16 * 1024  # signed URLs of object stores have about 2,000 characters

# Shortcut for Docker Hub, which avoids loading the public suffix list.
_KNOWN_SITES = frozenset({("registry-1.docker.io", "auth.docker.io")})


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port. Equal origins may receive the same credentials."""

    scheme: str
    host: str
    port: int

    @staticmethod
    @lru_cache(maxsize=64)  # several layers need the origin of the URL of each request
    def of(url: str) -> Origin:
        """Return the origin of an absolute URL.

        Raises:
            RegistryError: ``url`` is not an http or https URL, or is ambiguous.
        """
        if len(url) > _MAX_URL or _VISIBLE.fullmatch(url) is None:
            raise RefusedRequestError("the URL from the registry is too long or malformed")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise RefusedRequestError("the URL from the registry is malformed") from None
        if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
            raise RefusedRequestError(f"{redact(url)}: not a valid http or https URL")
        return Origin(parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


AddressScope = Literal["public", "private", "forbidden", "unknown"]
"""How reachable an address is."""


def resolve_location(base: str, location: str) -> str:
    """Return the absolute URL of a Location header in the response to a request for ``base``.

    Raises:
        RegistryError: ``location`` is not a valid URL, or redirects from HTTPS to HTTP.
    """
    origin, url = Origin.of(base), join_location(base, location)
    if Origin.of(url).scheme == "http" and origin.scheme == "https":
        raise RefusedRequestError(
            f"{origin}: refused a redirect from HTTPS to HTTP: {redact(url)}",
            hint="set X-Forwarded-Proto in the reverse proxy of the registry",
        )
    return url


def join_location(base: str, location: str) -> str:
    """Return the absolute URL of a reference in the header of a response to ``base``.

    The text of ``location`` is kept as the server sent it, because a signature may cover each
    character; only spaces and bytes outside ASCII, which a request line cannot contain, are
    percent-encoded. A fragment is removed.

    Raises:
        RegistryError: ``location`` is not a valid URL.
    """
    origin, reference = Origin.of(base), _encode(location.split("#", 1)[0])
    if reference.startswith("//"):
        url = f"{origin.scheme}:{reference}"
    elif reference.startswith("/"):
        url = f"{origin}{reference}"
    elif _AUTHORITY.match(reference):
        url = reference
    else:
        try:
            url = reference and urljoin(base, reference)
        except ValueError:
            url = ""
    if not url:
        raise RefusedRequestError(f"{origin}: malformed Location")
    Origin.of(url)
    return url


def get_target(url: str) -> str:
    """Return the path and query of an absolute URL, each character unchanged."""
    target = _AUTHORITY.sub("", url, count=1)
    return target if target.startswith("/") else f"/{target}"


def _encode(location: str) -> str:
    """Percent-encode the characters that a request line must not contain; empty if malformed."""
    if _VISIBLE.fullmatch(location):
        return location
    try:
        data = location.strip(" ").encode("latin-1")  # the encoding in which headers are decoded
    except UnicodeEncodeError:
        return ""
    text = "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in data)
    return text if _VISIBLE.fullmatch(text) and min(data) >= 0x20 else ""


def redact(url: str) -> str:
    """Return ``url`` without user information, query and fragment, which may contain secrets."""
    plain = re.split(r"[?#]", url, maxsplit=1)[0]
    plain = re.sub(r"//[^/]*@", "//", plain)
    return "".join(char if char.isprintable() else "?" for char in plain[:300])


def check_redirect(registry: Origin, target: Origin, *, look_up_hosts: bool) -> None:
    """Check that a registry is allowed to redirect to ``target``.

    Link-local and unspecified addresses are always refused, because cloud metadata services use
    them; private addresses are refused unless the registry also has one. With ``look_up_hosts``,
    host names are resolved; otherwise only literal addresses are checked.

    Raises:
        RegistryError: ``target`` is refused.
    """
    if target.host == registry.host:
        return
    scope = find_scope(target.host, look_up_hosts=look_up_hosts)
    if scope == "forbidden" or (
        scope == "private" and find_scope(registry.host, look_up_hosts=look_up_hosts) == "public"
    ):
        raise RefusedRequestError(f"{registry}: refused a redirect to the {scope} address {target}")


def is_same_site(registry: Origin, target: Origin, *, look_up_hosts: bool) -> bool:
    """Return whether ``registry`` and ``target`` have the same owner according to their names.

    This is true for equal hosts, two loopback addresses, two hosts in the same registered domain,
    and two hosts with private addresses and the same last label.
    """
    hosts = ours, theirs = registry.host, target.host
    addresses = [_parse_address("127.0.0.1" if host == "localhost" else host) for host in hosts]
    if ours == theirs or all(address and address.is_loopback for address in addresses):
        return True
    if _parse_address(ours) is not None or _parse_address(theirs) is not None:
        return False
    if (ours, theirs) in _KNOWN_SITES:
        return True
    domains = [_load_public_suffixes().privatesuffix(host.rstrip(".")) for host in hosts]
    if domains[0] is not None and domains[0] == domains[1]:
        return True
    # For example registry.corp and login.corp: third parties cannot register these names.
    return ours.rpartition(".")[2] == theirs.rpartition(".")[2] and all(
        find_scope(host, look_up_hosts=look_up_hosts) == "private" for host in hosts
    )


def find_scope(host: str, *, look_up_hosts: bool) -> AddressScope:
    """Return the scope of the least trusted address of ``host``."""
    address = _parse_address(host)
    if address is not None:
        return _classify(address)
    if not look_up_hosts:
        return "unknown"
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return "unknown"
    scopes = {_classify(ipaddress.ip_address(str(entry[4][0]))) for entry in found}
    order: tuple[AddressScope, ...] = ("forbidden", "private", "public")
    return next((scope for scope in order if scope in scopes), "unknown")


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _parse_address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _classify(address: _Address) -> AddressScope:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_unspecified or address.is_multicast:
        return "forbidden"
    return "public" if address.is_global else "private"


@cache
def _load_public_suffixes() -> PublicSuffixList:
    """Load the suffixes below which domains are registered, from https://publicsuffix.org/."""
    from importlib.resources import files  # noqa: PLC0415 - rarely used

    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - reads a long list, rarely used

    # By default it opens a file beside its module, which does not exist in a zip archive.
    with (files("publicsuffixlist") / "public_suffix_list.dat").open("rb") as suffixes:
        return PublicSuffixList(suffixes)
