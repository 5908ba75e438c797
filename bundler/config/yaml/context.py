"""Conversion of YAML values: paths, secrets, regular expressions, version ranges.

An invalid value is recorded as a mistake, and the result is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.config.yaml.document import Position, ScalarNode, SequenceNode, Value, YamlMistakes
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.gocompat.regexp import GoExpression

MAX_EXPRESSION = 512
_MAX_SECRET = 64 << 10


@dataclass(frozen=True, slots=True)
class YamlContext:
    """Context for the values of one file."""

    file: str
    """The path of the file in origins, relative to the directory of the bundle manifest."""
    folder: Path
    """The directory that paths in the file are relative to."""
    environment: Mapping[str, str]
    mistakes: YamlMistakes

    def format_origin(self, at: Position) -> str:
        """Return the origin of an image request, ``file:line``."""
        return f"{self.file}:{at.line}"

    def resolve_path(self, value: Value | None) -> Path | None:
        """Return the path of an existing file or directory; None if ``value`` is absent."""
        if not isinstance(value, ScalarNode) or not value:
            return None
        home = self.environment.get("HOME")
        path = self.folder / (home + value[1:] if value.startswith("~/") and home else value)
        try:
            path.stat()
        except (OSError, ValueError):
            self.mistakes.add(value.at, f"{path}: no such file")
        return path

    def read_variable(self, value: Value | None) -> str | None:
        """Return the content of an environment variable; None if it is unset."""
        if not isinstance(value, ScalarNode):
            return None
        content = self.environment.get(value)
        if content is None:
            self.mistakes.add(value.at, f"environment variable {value[:80]} is not set")
        return content

    def read_secret(self, value: Value | None) -> str | None:
        """Read a secret from a one-line file; None if absent, or if there was a mistake."""
        path = self.resolve_path(value)
        if path is None or not isinstance(value, ScalarNode) or not path.exists():
            return None
        try:
            with path.open("rb") as stream:
                data = stream.read(_MAX_SECRET + 1)
            text = data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            self.mistakes.add(value.at, f"{path}: not UTF-8 text")
        except OSError as error:
            self.mistakes.add(value.at, f"{path}: cannot be read: {error.strerror}")
        else:
            if text and len(data) <= _MAX_SECRET and "\n" not in text:
                return text
            self.mistakes.add(value.at, f"{path}: expected one line of text")
        return None


def parse_expression(value: Value | None, mistakes: YamlMistakes) -> GoExpression | None:
    """Compile a regular expression; None if it is invalid or absent."""
    if not isinstance(value, ScalarNode) or not 0 < len(value) <= MAX_EXPRESSION:
        return None  # reported by the schema validation
    from bundler.gocompat.regexp import GoExpression  # noqa: PLC0415 - most files have none

    try:
        return GoExpression.parse(str(value))
    except UsageError as error:
        mistakes.add(value.at, error.message)
        return None


def parse_expressions(value: Value | None, mistakes: YamlMistakes) -> tuple[GoExpression, ...]:
    """Compile a list of regular expressions."""
    items = value if isinstance(value, SequenceNode) else ()
    return tuple(filter(None, (parse_expression(item, mistakes) for item in items)))


def parse_version_range(value: Value | None, mistakes: YamlMistakes) -> str | None:
    """Parse a version range; None if it is invalid or absent."""
    if not isinstance(value, ScalarNode) or value.is_null:
        return None
    from bundler.oci.tag_filter import parse_range  # noqa: PLC0415 - only for a version range

    try:
        return parse_range(value)
    except UsageError as error:
        mistakes.add(value.at, error.message)
        return None
