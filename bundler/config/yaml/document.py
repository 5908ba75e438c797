"""YAML with positions: every value knows the file, line and column it stands at.

Scalars stay the text that was written, so ``1.10`` is "1.10"; what is a number or a switch is
for the schema to say. The subset is what a person writes by hand: one document, text as keys,
no tags, no merge keys. Aliases are followed, but what they add up to is bounded.

https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from bundler.errors import InvalidBundleManifestError, LimitError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 100_000
MAX_FINDINGS = 100

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_NULL = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ScalarNode(str):
    """A scalar as it was written; ``plain`` tells that it had no quotes."""

    __slots__ = ("at", "plain")
    at: Position
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether nothing was written, or one of YAML's words for it."""
        return self.plain and self in _NULL


class SequenceNode(list["Value"]):
    """A sequence."""

    __slots__ = ("at",)
    at: Position


class MappingNode(dict[str, "Value"]):
    """A mapping; ``key_at`` tells where each key stands."""

    __slots__ = ("at", "key_at")
    at: Position
    key_at: dict[str, Position]


Value = ScalarNode | SequenceNode | MappingNode


class Findings:
    """The mistakes found so far, over all files of one run."""

    def __init__(self) -> None:
        self._found: dict[tuple[Position, str], None] = {}

    def add(self, at: Position, text: str) -> None:
        """Note a mistake; what a terminal could take for a command is written out."""
        safe = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
        self._found[at, safe] = None

    def raise_if_any(self, hint: str | None = None) -> None:
        """Go on only if there is none.

        Raises:
            InvalidBundleManifestError: with all of them, file by file, in the order of lines.
        """
        if not self._found:
            return
        files = list(dict.fromkeys(at.file for at, _ in self._found))
        ordered = sorted(
            self._found, key=lambda pair: (files.index(pair[0].file), pair[0].line, pair[0].column)
        )
        shown = [f"{at}: {text}" for at, text in ordered[:MAX_FINDINGS]]
        if len(ordered) > MAX_FINDINGS:
            shown.append(f"and more; mend these {MAX_FINDINGS} first")
        raise InvalidBundleManifestError(shown, hint=hint)


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a file that a person wrote.

    Raises:
        NotFoundError: there is none.
        InvalidBundleManifestError: it cannot be read.
        LimitError: it is too large.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file's name"
        raise InvalidBundleManifestError([f"{path}: cannot be read: {reason}"]) from None
    if len(data) > limit:
        raise LimitError(f"{path}: larger than {limit:,} bytes")
    return data


def decode(data: bytes, file: str) -> str:
    """The text of a file.

    Raises:
        InvalidBundleManifestError: it is not UTF-8, or holds control characters.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InvalidBundleManifestError(
            [f"{Position(file, line, column)}: not UTF-8 text"]
        ) from None
    bad = _UNPRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        at = Position(file, line, column)
        raise InvalidBundleManifestError([f"{at}: the character {bad[0]!a} is not allowed"])
    return text


def parse(text: str, file: str, findings: Findings, *, max_values: int = MAX_VALUES) -> Value:
    """The value that ``text`` holds; ``file`` names it in messages.

    Raises:
        InvalidBundleManifestError: the text is not YAML, or more of it than is taken here.
        LimitError: too deep, or aliases that expand to too much.
    """
    events = yaml.parse(text, Loader=_LOADER)
    try:
        return _Composer(file, events, findings, max_values).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        raise InvalidBundleManifestError([f"{at}: {_explain(error, text, at)}"]) from None
    except yaml.YAMLError:
        raise InvalidBundleManifestError([f"{file}:1:1: not YAML"]) from None


def get_member(fields: Value | None, key: str) -> Value | None:
    """The member ``key`` of ``fields``, if that is a mapping that has it."""
    return fields.get(key) if isinstance(fields, MappingNode) else None


def suggest_word(word: str, known: list[str]) -> str:
    """What to say of the known word most like ``word``: a question, or nothing."""
    close = get_close_matches(word, known, n=1, cutoff=0.6) or [
        name for name in known if name.lower() == word.lower().replace("-", "").replace("_", "")
    ]
    return f"; did you mean `{close[0]}`?" if close else ""


def describe(value: Value) -> str:
    """What ``value`` is, in a few words."""
    if isinstance(value, ScalarNode):
        return "nothing" if value.is_null else repr(str(value[:60]))
    return "a list" if isinstance(value, SequenceNode) else "a mapping"


def is_true(value: Value | None) -> bool:
    """Whether a switch is on."""
    return isinstance(value, ScalarNode) and value.lower() == "true"


@dataclass(frozen=True, slots=True)
class _Made:
    """A value, and how many values and levels it has once its aliases are written out."""

    value: Value
    values: int = 1
    levels: int = 1


class _Composer:
    """Builds values from events."""

    def __init__(
        self, file: str, events: Iterator[Event], findings: Findings, max_values: int
    ) -> None:
        self._file = file
        self._max_values = max_values
        self._events = events
        self._findings = findings
        self._anchors: dict[str | None, _Made] = {}

    def document(self) -> Value:
        made: _Made | None = None
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if made is not None:
                    raise self._mistake(event, "a second document begins here; one file holds one")
                made = self._make(next(self._events), 1)
        if made is None:
            raise InvalidBundleManifestError([f"{self._file}:1:1: the file is empty"])
        return made.value

    def _make(self, event: Event, depth: int) -> _Made:
        if isinstance(event, AliasEvent):
            if event.anchor not in self._anchors:
                raise self._mistake(event, f"nothing before this is called &{event.anchor}")
            made = self._anchors[event.anchor]
        else:
            made = self._compose(event, depth)
            self._anchors[getattr(event, "anchor", None)] = made
        self._bound(event, made.values, depth + made.levels - 1)
        return made

    def _compose(self, event: Event, depth: int) -> _Made:
        self._bound(event, 1, depth)
        tag = getattr(event, "tag", None)
        if tag not in (None, "!", "tag:yaml.org,2002:str"):
            raise self._mistake(event, f"a tag such as {tag[:80]} has no meaning here")
        if isinstance(event, SequenceStartEvent):
            return self._items(event, depth)
        if isinstance(event, MappingStartEvent):
            return self._fields(event, depth)
        text = ScalarNode(getattr(event, "value", ""))
        text.at = self._at(event)
        text.plain = not getattr(event, "style", None) and tag is None
        return _Made(text)

    def _items(self, start: Event, depth: int) -> _Made:
        items, values, levels = SequenceNode(), 1, 1
        items.at = self._at(start)
        while not isinstance(event := next(self._events), SequenceEndEvent):
            item = self._make(event, depth + 1)
            items.append(item.value)
            values, levels = values + item.values, max(levels, item.levels + 1)
            self._bound(event, values, depth)
        return _Made(items, values, levels)

    def _fields(self, start: Event, depth: int) -> _Made:
        fields, values, levels = MappingNode(), 1, 1
        fields.at, fields.key_at = self._at(start), {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event, fields, depth)
            member = self._make(next(self._events), depth + 1)
            fields.setdefault(key, member.value)
            values, levels = values + member.values + 1, max(levels, member.levels + 1)
            self._bound(event, values, depth)
        return _Made(fields, values, levels)

    def _key(self, event: Event, fields: MappingNode, depth: int) -> str:
        key = self._make(event, depth + 1).value
        if not isinstance(key, ScalarNode):
            raise self._mistake(event, "a key has to be text")
        if key == "<<" and key.plain:
            raise self._mistake(event, "merge keys (<<) have no meaning here; repeat the keys")
        first = fields.key_at.setdefault(str(key), self._at(event))
        if key in fields:
            text = f"`{str(key)[:80]}` is here already, in line {first.line}"
            self._findings.add(self._at(event), text)
        return str(key)

    def _bound(self, event: Event, values: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LimitError(f"{self._at(event)}: nested deeper than {MAX_DEPTH} levels")
        if values > self._max_values:
            raise LimitError(f"{self._at(event)}: more than {self._max_values:,} values")

    def _at(self, event: Event) -> Position:
        mark = event.start_mark
        return (
            Position(self._file, mark.line + 1, mark.column + 1)
            if mark
            else Position(self._file, 1, 1)
        )

    def _mistake(self, event: Event, text: str) -> InvalidBundleManifestError:
        return InvalidBundleManifestError([f"{self._at(event)}: {text}"])


def _explain(error: yaml.MarkedYAMLError, text: str, at: Position) -> str:
    lines = text.splitlines()
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return "a tab cannot indent YAML; use spaces"
    problem = " ".join((error.problem or "unreadable").split())
    if not error.context or error.context_mark is None:
        return f"not YAML: {problem}"
    context = " ".join(error.context.split())
    return f"not YAML: {problem} ({context} that begins in line {error.context_mark.line + 1})"
