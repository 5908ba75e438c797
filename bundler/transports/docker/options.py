"""The options of the transport ``docker:``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """Options that only the transport ``docker:`` has."""

    transport: ClassVar = "docker"
    invalid_tags: bool = False
    """Whether a list of tags includes texts that are not valid tags, as Skopeo prints them."""
