"""Image references in Docker's grammar: ``[domain/]path[:tag][@digest]``.

https://github.com/distribution/reference/blob/v0.6.0/reference.go
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address

from bundler.errors import InvalidReferenceError, MalformedError
from bundler.oci.digest import Digest

DEFAULT_DOMAIN = "docker.io"
_OBSOLETE_DOMAIN = "index.docker.io"
DEFAULT_TAG = "latest"
MAX_NAME = 255
MAX_PORT = 65_535

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(
    rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?P<ipv6>[a-fA-F0-9:]+)\])(?::(?P<port>[0-9]{{1,5}}))?"
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_HEX_ID = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A repository, with its registry's domain, and optionally a tag and a digest."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Parse a reference, and add a missing ``docker.io`` and ``library/`` as Docker does.

        A missing tag is added only by ``with_default_tag``.

        Raises:
            InvalidReferenceError: the reference is malformed.
        """
        if _HEX_ID.fullmatch(text):
            raise InvalidReferenceError(
                f"{text}: 64 hexadecimal digits are an image ID (expected a name)"
            )
        rest, at, digest_text = text.partition("@")
        domain, path = DEFAULT_DOMAIN, rest
        first, slash, remainder = rest.partition("/")
        if slash and (
            any(char in first for char in ".:") or first == "localhost" or first != first.lower()
        ):
            domain, path = normalize_domain(first), remainder
        path, colon, tag = path.partition(":")
        if domain == DEFAULT_DOMAIN and "/" not in path:
            path = f"library/{path}"
        problem = None
        if not is_domain(domain):
            problem = f"{domain[:80]!r} is not a valid registry (expected HOST[:PORT])"
        elif path != path.lower():
            problem = "the repository name must be in lower case"
        elif _PATH.fullmatch(path) is None:
            problem = f"{path[:80]!r} is not a valid repository name"
        elif len(path) > MAX_NAME:
            problem = f"the repository name is longer than {MAX_NAME} characters"
        elif colon and not is_tag(tag):
            problem = f"{tag[:80]!r} is not a valid tag"
        if problem is not None:
            raise _create_error(text, problem)
        return cls(domain, path, tag or None, _parse_digest(text, digest_text) if at else None)

    @property
    def repository(self) -> str:
        """``domain/path``."""
        return f"{self.domain}/{self.path}"

    @property
    def version(self) -> str | None:
        """The digest, or else the tag, which identifies the manifest in the repository."""
        return self.digest.text if self.digest else self.tag

    def with_default_tag(self) -> ImageReference:
        """Return the reference with the tag ``latest`` if it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def is_tag(text: str) -> bool:
    """Return whether ``text`` is a valid tag."""
    return _TAG.fullmatch(text) is not None


def is_domain(text: str) -> bool:
    """Return whether ``text`` is a valid ``host[:port]`` of a registry."""
    match = _DOMAIN.fullmatch(text)
    if match is None or len(text) > MAX_NAME or int(match["port"] or 0) > MAX_PORT:
        return False
    if match["ipv6"] is not None:
        try:
            IPv6Address(match["ipv6"])
        except AddressValueError:
            return False
    return True


def normalize_domain(host: str) -> str:
    """Replace the obsolete name of Docker Hub; return any other ``host[:port]`` unchanged."""
    return DEFAULT_DOMAIN if host == _OBSOLETE_DOMAIN else host


def convert_domain_to_component(domain: str) -> str:
    """Return ``domain`` as a component of a repository path, for example ``quay.io-5000``."""
    if domain.startswith("["):
        address, _, port = domain[1:].partition("]")
        domain = f"{IPv6Address(address).exploded}{port}"
    return domain.replace(":", "-").lower()


def is_repository_path(text: str) -> bool:
    """Return whether ``text`` is a valid path of a repository below its domain."""
    return len(text) <= MAX_NAME and _PATH.fullmatch(text) is not None


def _create_error(text: str, problem: str) -> InvalidReferenceError:
    return InvalidReferenceError(
        f"{_redact(text)}: {problem}",
        hint="write HOST[:PORT]/NAME:TAG, for example quay.io/org/app:1.0",
    )


def _parse_digest(text: str, digest: str) -> Digest:
    try:
        return Digest(digest)
    except MalformedError as error:
        if "/" in digest:
            raise InvalidReferenceError(
                f"{_redact(text)}: a reference must not contain credentials or a path after '@'",
                hint="specify the credentials separately, or log in",
            ) from None
        raise _create_error(text, error.message) from None


def _redact(text: str) -> str:
    """Quote ``text`` for a message, and redact possible credentials before a host."""
    front, at, rest = text.rpartition("@")
    if at and "/" in rest:
        scheme, separator, _ = front.rpartition("://")
        text = f"{scheme}{separator}***@{rest}"
    return repr(text[:200])
