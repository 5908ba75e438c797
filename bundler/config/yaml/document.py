"""YAML parser whose values have positions: file, line and column.

Scalars remain text, so ``1.10`` is "1.10"; the schema defines which of them are numbers or
booleans. The supported subset suffices for handwritten files: one document, text keys, no tags, no
merge keys. Aliases are supported up to a limit on the expanded size.

https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import yaml

from bundler.errors import InvalidBundleManifestError, LimitError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000
MAX_MISTAKES = 100

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The complement of the allowed characters takes 20 times as long to compile.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
)
_NULL = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ScalarNode(str):
    """A scalar as text; ``plain`` is True if it was written without quotes."""

    __slots__ = ("at", "plain")
    at: Position
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether the scalar is a YAML null, such as an empty one."""
        return self.plain and self in _NULL


class SequenceNode(list["Value"]):
    """A sequence."""

    __slots__ = ("at",)
    at: Position


class MappingNode(dict[str, "Value"]):
    """A mapping; ``key_at`` has the position of each key."""

    __slots__ = ("at", "key_at")
    at: Position
    key_at: dict[str, Position]


Value = ScalarNode | SequenceNode | MappingNode


class YamlMistakes:
    """Mistakes in all files of one run, which are reported together."""

    def __init__(self) -> None:
        self._found: dict[tuple[Position, str], None] = {}

    def add(self, at: Position, text: str) -> None:
        """Add a mistake, and escape unprintable characters of ``text``."""
        safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
        self._found[at, safe] = None

    def raise_if_any(self, hint: str | None = None) -> None:
        """Raise one error with all mistakes, ordered by file and line, if there are any.

        Raises:
            InvalidBundleManifestError: there are mistakes.
        """
        if not self._found:
            return
        files = list(dict.fromkeys(at.file for at, _ in self._found))
        ordered = sorted(
            self._found, key=lambda pair: (files.index(pair[0].file), pair[0].line, pair[0].column)
        )
        lines = [f"{at}: {text}" for at, text in ordered[:MAX_MISTAKES]]
        if len(ordered) > MAX_MISTAKES:
            lines.append(f"and more; correct these {MAX_MISTAKES} first")
        raise InvalidBundleManifestError(lines, hint=hint)


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a file.

    Raises:
        NotFoundError: the file does not exist.
        InvalidBundleManifestError: the file cannot be read.
        LimitError: the file is larger than ``limit`` bytes.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a valid path"
        raise InvalidBundleManifestError([f"{path}: cannot be read: {reason}"]) from None
    if len(data) > limit:
        raise LimitError(f"{path}: larger than {limit:,} bytes")
    return data


def decode(data: bytes, file: str) -> str:
    """Decode the content of a file.

    Raises:
        InvalidBundleManifestError: the content is not valid UTF-8, or contains control characters.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = _find_end(data[: error.start].decode("latin-1"), file)
        raise InvalidBundleManifestError([f"{at}: not UTF-8 text"]) from None
    bad = _UNPRINTABLE.search(text)
    if bad:
        at = _find_end(text[: bad.start()], file)
        raise InvalidBundleManifestError([f"{at}: the character {bad[0]!a} is not allowed"])
    return text


def parse(text: str, file: str, mistakes: YamlMistakes, *, max_values: int = MAX_VALUES) -> Value:
    """Parse a document; ``file`` is used for positions. Duplicate keys are mistakes.

    Raises:
        InvalidBundleManifestError: the text is not valid YAML, or is outside the supported subset.
        LimitError: the document is nested too deeply, or has too many values after the expansion of
            aliases.
    """
    events = yaml.parse(text, Loader=_LOADER)
    try:
        return _Composer(file, events, mistakes, max_values).compose_document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        problem = f"invalid YAML: {' '.join((error.problem or 'unreadable').split())}"
        if error.context and error.context_mark is not None:
            context = " ".join(error.context.split())
            problem += f" ({context} that begins at line {error.context_mark.line + 1})"
        lines = text.splitlines()
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        if "\t" in line[: len(line) - len(line.lstrip())]:
            problem = "tab in the indentation (expected spaces)"
        raise InvalidBundleManifestError([f"{at}: {problem}"]) from None
    except yaml.YAMLError:
        raise InvalidBundleManifestError([f"{file}:1:1: invalid YAML"]) from None


def get_member(fields: Value | None, key: str) -> Value | None:
    """Return a member; None if it is absent or ``fields`` is not a mapping."""
    return fields.get(key) if isinstance(fields, MappingNode) else None


def suggest_word(word: str, known: list[str]) -> str:
    """Return ``; did you mean …`` with the most similar known word, or an empty string."""
    close = get_close_matches(word, known, n=1, cutoff=0.6) or [
        name for name in known if name.lower() == word.lower().replace("-", "").replace("_", "")
    ]
    return f"; did you mean `{close[0]}`?" if close else ""


def describe(value: Value) -> str:
    """Describe ``value`` for a message."""
    if isinstance(value, ScalarNode):
        return "nothing" if value.is_null else repr(str(value[:60]))
    return "a list" if isinstance(value, SequenceNode) else "a mapping"


def is_true(value: Value | None) -> bool:
    """Return whether a scalar is ``true``."""
    return isinstance(value, ScalarNode) and value.lower() == "true"


def _find_end(text: str, file: str) -> Position:
    """Return the position after ``text``, the beginning of a file."""
    return Position(file, text.count("\n") + 1, len(text) - text.rfind("\n"))


@dataclass(frozen=True, slots=True)
class _Composed:
    """A node, with its number of values and levels after the expansion of aliases."""

    value: Value
    values: int = 1
    levels: int = 1


class _Composer:
    """Builder of values from parser events."""

    def __init__(
        self, file: str, events: Iterator[yaml.Event], mistakes: YamlMistakes, max_values: int
    ) -> None:
        self._file = file
        self._max_values = max_values
        self._events = events
        self._mistakes = mistakes
        self._anchors: dict[str | None, _Composed] = {}

    def compose_document(self) -> Value:
        composed: _Composed | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if composed is not None:
                    raise self._create_error(event, "a second document (expected one per file)")
                composed = self._compose(next(self._events), 1)
        if composed is None:
            raise InvalidBundleManifestError([f"{self._file}:1:1: the file is empty"])
        return composed.value

    def _compose(self, event: yaml.Event, depth: int) -> _Composed:
        self._check_limits(event, 1, depth)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._create_error(event, f"undefined alias *{event.anchor}")
            composed = self._anchors[event.anchor]
        else:
            tag = getattr(event, "tag", None)
            if tag not in (None, "!", "tag:yaml.org,2002:str"):
                raise self._create_error(event, f"the tag {tag[:80]} is not supported")
            if isinstance(event, yaml.SequenceStartEvent):
                composed = self._compose_sequence(event, depth)
            elif isinstance(event, yaml.MappingStartEvent):
                composed = self._compose_mapping(event, depth)
            else:
                text = ScalarNode(getattr(event, "value", ""))
                text.at = self._get_position(event)
                text.plain = not getattr(event, "style", None) and tag is None
                composed = _Composed(text)
            self._anchors[getattr(event, "anchor", None)] = composed
        self._check_limits(event, composed.values, depth + composed.levels - 1)
        return composed

    def _compose_sequence(self, start: yaml.Event, depth: int) -> _Composed:
        items, values, levels = SequenceNode(), 1, 1
        items.at = self._get_position(start)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item = self._compose(event, depth + 1)
            items.append(item.value)
            values, levels = values + item.values, max(levels, item.levels + 1)
            self._check_limits(event, values, depth)
        return _Composed(items, values, levels)

    def _compose_mapping(self, start: yaml.Event, depth: int) -> _Composed:
        fields, values, levels = MappingNode(), 1, 1
        fields.at, fields.key_at = self._get_position(start), {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._compose(event, depth + 1).value
            if not isinstance(key, ScalarNode):
                raise self._create_error(event, "the key is not a scalar")
            if key == "<<" and key.plain:
                raise self._create_error(
                    event, "merge keys (<<) are not supported; repeat the keys"
                )
            first = fields.key_at.setdefault(str(key), self._get_position(event))
            if key in fields:
                text = f"duplicate key `{str(key)[:80]}`, first at line {first.line}"
                self._mistakes.add(self._get_position(event), text)
            member = self._compose(next(self._events), depth + 1)
            fields.setdefault(str(key), member.value)
            values, levels = values + member.values + 1, max(levels, member.levels + 1)
            self._check_limits(event, values, depth)
        return _Composed(fields, values, levels)

    def _check_limits(self, event: yaml.Event, values: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LimitError(f"{self._get_position(event)}: nested deeper than {MAX_DEPTH} levels")
        if values > self._max_values:
            raise LimitError(f"{self._get_position(event)}: more than {self._max_values:,} values")

    def _get_position(self, event: yaml.Event) -> Position:
        mark = event.start_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        return Position(self._file, line + 1, column + 1)

    def _create_error(self, event: yaml.Event, text: str) -> InvalidBundleManifestError:
        return InvalidBundleManifestError([f"{self._get_position(event)}: {text}"])
