"""Skopeo's command line, as cobra and pflag read it: a command, its flags and its arguments.

Flags before the command are the program's own; flags may stand between and after arguments.
https://pkg.go.dev/github.com/spf13/pflag#hdr-Command_line_flag_syntax
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo import flag_values
from bundler.cli.frontends.skopeo.flag_tables import COMMANDS, PROGRAM, Command, Flag
from bundler.errors import UsageError
from bundler.gocompat.quoting import quote, quote_rune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.skopeo.flag_values import Value

_HELP = "help"
_LIKE = 2  # edits between a name and one that is offered in its place


@dataclass(slots=True)
class CommandLine:
    """What was typed."""

    command: Command
    program: dict[str, Value] = field(default_factory=dict)
    """What was said before the command, by the flags' names; of a repeated flag the last value."""
    flags: dict[str, Value] = field(default_factory=dict)
    """What was said after it."""
    arguments: list[str] = field(default_factory=list)

    def get(self, name: str) -> Value | None:
        """The value of a flag; None: not said."""
        return self.flags.get(name, self.program.get(name))

    def says(self, name: str) -> bool:
        """Whether the switch ``name`` is on."""
        return self.get(name) is True

    def text(self, name: str) -> str:
        """The value of ``name``; empty, if it was not said."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def path(self, name: str) -> Path | None:
        """Return the path that is the value of ``name``; None if unset or empty."""
        text = self.text(name)
        return Path(text) if text else None

    def number(self, name: str) -> int | None:
        """Return the number that is the value of ``name``; None if unset."""
        value = self.get(name)
        return value if isinstance(value, int) else None

    def seconds(self, name: str) -> float:
        """Return the duration that is the value of ``name``; 0 if unset or negative."""
        value = self.get(name)
        return max(0.0, value) if isinstance(value, float) else 0.0

    def items(self, name: str) -> list[str]:
        """Return the values of the repeatable flag ``name``."""
        value = self.get(name)
        return value if isinstance(value, list) else []


def parse(typed: Sequence[str]) -> CommandLine:
    """Read a whole command line, without the program's name.

    Raises:
        UsageError: in Skopeo's words.
    """
    line = CommandLine(PROGRAM)
    words = list(typed)
    at = _position_of_command(words)
    if at is None:
        _read(PROGRAM, words, line.program, line.arguments)
        return line
    _read(PROGRAM, words[:at], line.program, [])
    if words[at] == _HELP:
        return _asked_for_help(line, words[at + 1 :])
    line.command = COMMANDS[words[at]]
    _read(line.command, words[at + 1 :], line.flags, line.arguments)
    return line


def not_a_command(arguments: Sequence[str]) -> UsageError:
    """The error for a command line without a command."""
    ending = "Try 'skopeo --help' for more information"
    if not arguments:
        return UsageError(f"Missing command 'skopeo COMMAND'\n{ending}")
    name = arguments[0]
    near = sorted(known.name for known in COMMANDS.values() if _like(name, known))
    offer = "\nDid you mean this?\n\t{}\n\n".format("\n\t".join(near)) if near else ""
    return UsageError(f"Unrecognized command `skopeo {name}`\n{offer}{ending}")


def _asked_for_help(line: CommandLine, words: Sequence[str]) -> CommandLine:
    """``help COMMAND`` is ``COMMAND --help``."""
    line.command = COMMANDS.get(next(iter(words), ""), PROGRAM)
    line.flags[_HELP] = True
    return line


def _position_of_command(words: Sequence[str]) -> int | None:
    """Where the first word is that is neither a flag nor a flag's value, if it is a command."""
    flags = PROGRAM.find().values()
    alone = {f"--{flag.name}" for flag in flags if flag.kind == "bool"}
    alone |= {f"-{flag.short}" for flag in flags if flag.short and flag.kind == "bool"}
    awaits_value = False
    for at, word in enumerate(words):
        if "=" not in word and (word.startswith("--") or (len(word) == 2 and word[0] == "-")):
            awaits_value = word not in alone
        elif awaits_value:
            awaits_value = False
        elif not word.startswith("-"):
            return at if word in COMMANDS or word == _HELP else None
    return None


def _read(command: Command, words: list[str], said: dict[str, Value], rest: list[str]) -> None:
    """Put flags into ``said`` and arguments into ``rest``."""
    reading = _ArgvParser(command, list(words), said)
    while reading.words:
        word = reading.words.pop(0)
        if word == "--":
            rest += reading.words
            return
        if word.startswith("--"):
            reading.long(word)
        elif word.startswith("-") and word != "-":
            reading.short(word[1:])
        else:
            rest.append(word)


class _ArgvParser:
    """One pass over the words for a command; ``words`` are those that are still to be read."""

    def __init__(self, command: Command, words: list[str], said: dict[str, Value]) -> None:
        self._flags = command.find()
        self._letters = {flag.short: flag for flag in self._flags.values() if flag.short}
        self.words = words
        self._said = said

    def long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name.startswith("-"):
            raise UsageError(f"bad flag syntax: {word}")
        flag = self._flags.get(name)
        if flag is None:
            raise UsageError(f"unknown flag: --{name}")
        if not equals:
            value = self._value(flag, f"--{name}")
        self._set(flag, value)

    def short(self, letters: str) -> None:
        while letters:
            here, letters = letters, letters[1:]
            letter = quote_rune(here[0])
            flag = self._letters.get(here[0])
            if flag is None:
                raise UsageError(f"unknown shorthand flag: {letter} in -{here}")
            if len(here) > 2 and here[1] == "=":
                value, letters = here[2:], ""
            elif letters and flag.kind != "bool":
                value, letters = letters, ""
            else:
                value = self._value(flag, f"{letter} in -{here}")
            self._set(flag, value)

    def _value(self, flag: Flag, shown: str) -> str:
        if flag.kind == "bool":
            return "true"
        if not self.words:
            raise UsageError(f"flag needs an argument: {shown}")
        return self.words.pop(0)

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = flag_values.PARSERS[flag.kind](text)
        except ValueError as error:
            raise UsageError(
                f"invalid argument {quote(text)} for {quote(flag.spelling)} flag: {error}"
            ) from None
        former = self._said.get(flag.name)
        if isinstance(value, list) and isinstance(former, list):
            value = former + value
        self._said[flag.name] = value


def _like(name: str, known: Command) -> bool:
    if known.hidden:
        return False
    name = name.lower()
    return known.name.startswith(name) or _edits(name, known.name) <= _LIKE


def _edits(one: str, other: str) -> int:
    """How many letters have to be put in, left out or replaced."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        corner, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (a != b))
    return row[-1]
