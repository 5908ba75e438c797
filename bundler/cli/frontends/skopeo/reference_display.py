"""References as Skopeo shows them in its messages: complete, and as short as may be."""

from __future__ import annotations

from dataclasses import dataclass

from bundler.errors import BundlerError
from bundler.oci.reference import ImageReference

_DOCKER_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class DisplayReference:
    """A reference as it was typed, and what its parts are."""

    transport: str
    rest: str
    image: ImageReference | None = None
    """With its tag or digest, where the place knows images by such names."""

    @classmethod
    def of(cls, text: str) -> DisplayReference:
        """Take a reference that was found to be one."""
        transport, _, rest = text.partition(":")
        named = {
            "docker": rest[2:],
            "docker-daemon": rest,
            "docker-archive": rest.partition(":")[2],
        }
        try:
            image = ImageReference.parse(named.get(transport, "")).with_default_tag()
        except BundlerError:
            image = None
        return cls(transport, rest, image)

    def __str__(self) -> str:
        if self.transport == "docker" and self.image is not None:
            return f"docker://{_familiar(self.image)}"
        if self.transport == "docker-daemon" and self.image is not None:
            return f"docker-daemon:{_familiar(self.image)}"
        if self.transport == "docker-archive" and self.image is not None:
            return f"docker-archive:{self.path}:{self.image}"
        if self.transport == "containers-storage":
            return f"containers-storage:{''.join(self.storage)}"
        if self.transport in ("oci", "oci-archive") and ":" not in self.rest:
            return f"{self.transport}:{self.rest}:"
        return f"{self.transport}:{self.rest}"

    @property
    def storage(self) -> tuple[str, str]:
        """Which storage of images it is, and what is looked for there."""
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
        """Of places on the disk."""
        return self.rest.partition(":")[0] if self.transport != "dir" else self.rest

    @property
    def name(self) -> str:
        """Of an image among others in such a place; empty, where none is named."""
        return self.rest.partition(":")[2] if self.transport != "dir" else ""

    @property
    def host(self) -> str:
        """Of a registry, as requests go to it."""
        domain = self.image.domain if self.image else ""
        return f"registry-1.{domain}" if domain == _DOCKER_HUB else domain

    @property
    def version(self) -> str:
        """The tag or the digest."""
        return (self.image.version if self.image else None) or ""

    @property
    def repository(self) -> str:
        """With its host."""
        return self.image.repository if self.image else ""

    @property
    def url_path(self) -> str:
        """Where requests for it begin."""
        return f"/v2/{self.image.path}/" if self.image else ""


def _familiar(image: ImageReference) -> str:
    text = str(image)
    for front in (f"{_DOCKER_HUB}/library/", f"{_DOCKER_HUB}/"):
        text = text.removeprefix(front)
    return text
