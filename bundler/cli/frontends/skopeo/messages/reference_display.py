"""References in Skopeo's messages: with the default tag, without the default host."""

from __future__ import annotations

from dataclasses import dataclass

from bundler import transports
from bundler.errors import BundlerError
from bundler.oci.reference import ImageReference
from bundler.ports import RegistryReference, RepositoryReference

_DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class DisplayReference:
    """A reference from the command line, and its components."""

    transport: str
    rest: str
    image: ImageReference | None = None
    """The image name with its tag or digest; None if the transport has no image names."""
    is_registry: bool = False
    """Whether it refers to an image in a registry."""

    @classmethod
    def parse(cls, text: str) -> DisplayReference:
        """Parse a reference that ``reference_checks`` has accepted."""
        transport, _, rest = text.partition(":")
        try:
            reference = transports.parse(text)
        except BundlerError:
            return cls(transport, rest)
        image = reference.image if isinstance(reference, RepositoryReference) else None
        return cls(
            transport,
            rest,
            None if image is None else image.with_default_tag(),
            isinstance(reference, RegistryReference),
        )

    def __str__(self) -> str:
        rest = self.rest
        match self.transport:
            case "docker" if self.image is not None:
                rest = f"//{_shorten(self.image)}"
            case "docker-daemon" if self.image is not None:
                rest = _shorten(self.image)
            case "docker-archive" if self.image is not None:
                rest = f"{self.path}:{self.image}"
            case "containers-storage":
                rest = "".join(self.storage)
            case "oci" | "oci-archive" if ":" not in rest:
                rest = f"{rest}:"
        return f"{self.transport}:{rest}"

    @property
    def storage(self) -> tuple[str, str]:
        """The store specifier in brackets, and the name of the image in the store."""
        rest = self.rest
        where, bracket, name = rest.rpartition("]")
        if not bracket:
            where = "[overlay@/var/lib/containers/storage+/run/containers/storage"
        try:
            named = str(ImageReference.parse(name).with_default_tag())
        except BundlerError:
            named = name
        return f"{where}]", named

    @property
    def path(self) -> str:
        """The path of a local file or directory."""
        return self.rest.partition(":")[0] if self.transport != "dir" else self.rest

    @property
    def name(self) -> str:
        """The name of the image in an archive or layout; empty if unset."""
        return self.rest.partition(":")[2] if self.transport != "dir" else ""

    @property
    def host(self) -> str:
        """The registry host to which requests are sent."""
        domain = self.image.domain if self.image else ""
        return f"registry-1.{domain}" if domain == _DOCKER_HUB else domain

    @property
    def version(self) -> str:
        """The tag or digest."""
        return (self.image.version if self.image else None) or ""

    @property
    def repository(self) -> str:
        """The repository with its host."""
        return self.image.repository if self.image else ""

    @property
    def url_path(self) -> str:
        """The prefix of the URL paths of the repository."""
        return f"/v2/{self.image.path}/" if self.image else ""


def _shorten(image: ImageReference) -> str:
    text = str(image)
    for front in (f"{_DOCKER_HUB}/library/", f"{_DOCKER_HUB}/"):
        text = text.removeprefix(front)
    return text
