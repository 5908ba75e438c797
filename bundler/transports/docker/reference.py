"""References to images in registries, and the names of images in a repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bundler.oci.digest import Digest
from bundler.oci.reference import DEFAULT_TAG

if TYPE_CHECKING:
    from bundler.oci.reference import ImageReference


@dataclass(frozen=True, slots=True)
class DockerReference:
    """``docker://IMAGE``, with Docker's defaults for the host and the path, but not the tag."""

    transport: ClassVar = "docker"
    image: ImageReference

    @property
    def registry_host(self) -> str:
        """The registry's ``host[:port]``."""
        return self.image.domain

    @property
    def name(self) -> str:
        """The tag (``latest`` if unset), the digest, or ``tag@digest``."""
        tag, digest = self.image.tag, self.image.digest
        if digest is None:
            return tag or DEFAULT_TAG
        return f"{tag}@{digest}" if tag else digest.text

    def __str__(self) -> str:
        return f"docker://{self.image}"


@dataclass(frozen=True, slots=True)
class VersionName:
    """The name of an image in a repository: a tag, a digest, or ``tag@digest``."""

    tag: str | None
    digest: Digest | None
    version: str | Digest
    """The tag, or else the digest."""

    @classmethod
    def parse(cls, text: str) -> VersionName:
        """Parse the name of a ``DockerReference``."""
        tag, at, digest = text.partition("@")
        if at and tag:
            return cls(tag, Digest(digest), tag)
        if at or ":" in text:
            found = Digest(digest or text)
            return cls(None, found, found)
        return cls(text, None, text)

    def __str__(self) -> str:
        return f"{self.tag}@{self.digest}" if self.tag and self.digest else str(self.version)
