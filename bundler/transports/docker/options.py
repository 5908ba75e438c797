"""The options of the transport ``docker:``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bundler.registry.upload_journal import UploadJournal


@dataclass(frozen=True, slots=True)
class DockerOptions:
    """Options that only the transport ``docker:`` has."""

    transport: ClassVar = "docker"
    invalid_tags: bool = False
    """Whether a list of tags includes texts that are not valid tags, as Skopeo prints them."""
    upload_journal: UploadJournal | None = None
    """Where unfinished uploads are kept, so that a later run resumes them; None: nowhere."""
