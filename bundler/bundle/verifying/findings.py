"""The findings of a verification: the first problem of each file, and the images that need it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bundler.bundle.verifying.verification import Finding
from bundler.errors import DigestMismatchError, MediumError

if TYPE_CHECKING:
    from bundler.errors import BundlerError


@dataclass(slots=True)
class Findings:
    """The findings so far; not thread-safe, so hashing threads return their errors instead."""

    location: str
    """The bundle, as in the messages of errors."""
    by_path: dict[str, Finding] = field(default_factory=dict)
    images: dict[str, dict[str, None]] = field(default_factory=dict)
    """The full names of the images that need each file, by path, in the order of the inventory."""

    def add(
        self, code: str, path: str, text: str, expected: str | None = None, got: str | None = None
    ) -> None:
        """Add a finding unless the path has one; later findings follow from the first one."""
        finding = Finding(code, path, text, expected=expected, got=got)
        self.by_path.setdefault(path, finding)

    def add_error(self, path: str, error: BundlerError, code: str = "malformed") -> None:
        """Add a finding for the error of a file; ``code`` is used if the type implies no code."""
        if isinstance(error, DigestMismatchError):
            text = f"digest mismatch (expected {error.expected}, got {error.got})"
            self.add("damaged", path, text, expected=error.expected, got=error.got)
            return
        # The finding begins with the path, so its text does not repeat it.
        text = error.message_without(f"{self.location}/", f"{path}: ")
        self.add("unreadable" if isinstance(error, MediumError) else code, path, text)

    def add_user(self, path: str, image: str) -> None:
        """Record that the image with the full name ``image`` needs the file."""
        self.images.setdefault(path, {})[image] = None

    def collect(self) -> tuple[Finding, ...]:
        """Return the findings with the images that need the files, sorted by path."""
        return tuple(
            replace(finding, images=tuple(self.images.get(path, ())))
            for path, finding in sorted(self.by_path.items())
        )
