"""Context of a YAML file that a user wrote: its directory, the environment, the findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.config.yaml.document import Findings, Position, ScalarNode, Value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAX_SECRET = 64 << 10


@dataclass(frozen=True, slots=True)
class YamlContext:
    """Context for the values of one file. Invalid values become findings."""

    file: str
    """The path for origins, relative to the directory of the bundle manifest."""
    folder: Path
    """The directory that paths in the file are relative to."""
    environment: Mapping[str, str]
    findings: Findings

    def format_origin(self, at: Position) -> str:
        """Return ``file:line``, the origin of an image request."""
        return f"{self.file}:{at.line}"

    def resolve_path(self, value: Value | None) -> Path | None:
        """Return the existing file or directory that ``value`` names; None if it is absent."""
        if not isinstance(value, ScalarNode) or not value:
            return None
        home = self.environment.get("HOME")
        path = self.folder / (home + value[1:] if value.startswith("~/") and home else value)
        try:
            path.stat()
        except (OSError, ValueError):
            self.findings.add(value.at, f"{path}: no such file")
        return path

    def read_variable(self, value: Value | None) -> str | None:
        """Return the content of the environment variable that ``value`` names; None if unset."""
        if not isinstance(value, ScalarNode):
            return None
        content = self.environment.get(value)
        if content is None:
            self.findings.add(value.at, f"the environment variable {value[:80]} is not set")
        return content

    def read_secret(self, value: Value | None) -> str | None:
        """Return the only line of the file that ``value`` names; None if there is a finding."""
        path = self.resolve_path(value)
        if path is None or not isinstance(value, ScalarNode) or not path.exists():
            return None
        try:
            with path.open("rb") as stream:
                data = stream.read(_MAX_SECRET + 1)
            text = data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            self.findings.add(value.at, f"{path}: not UTF-8 text")
        except OSError as error:
            self.findings.add(value.at, f"{path}: cannot be read: {error.strerror}")
        else:
            if text and len(data) <= _MAX_SECRET and "\n" not in text:
                return text
            self.findings.add(value.at, f"{path}: expected one line of text")
        return None
