"""Parser for Skopeo's command line, which accepts the same syntax as cobra and pflag.

Flags before the command are global; flags of the command may follow or precede its arguments.
https://pkg.go.dev/github.com/spf13/pflag#hdr-Command_line_flag_syntax
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo.arguments import flag_values
from bundler.cli.frontends.skopeo.arguments.flag_tables import (
    COMMANDS,
    PROGRAM,
    Flag,
    SkopeoCommand,
)
from bundler.errors import UsageError
from bundler.gocompat.quoting import quote, quote_rune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.skopeo.arguments.flag_values import FlagValue

_HELP = "help"
_MAX_EDITS = 2  # maximum edit distance between a mistyped name and a suggested name


@dataclass(slots=True)
class CommandLine:
    """A parsed command line."""

    command: SkopeoCommand
    global_flags: dict[str, FlagValue] = field(default_factory=dict)
    """The flags before the command, by name; of a repeated flag, the last value."""
    flags: dict[str, FlagValue] = field(default_factory=dict)
    """The flags after the command, by name."""
    arguments: list[str] = field(default_factory=list)

    def get(self, name: str) -> FlagValue | None:
        """Return the value of a flag; None if unset."""
        return self.flags.get(name, self.global_flags.get(name))

    def is_set(self, name: str) -> bool:
        """Return whether the boolean flag ``name`` is true."""
        return self.get(name) is True

    def text(self, name: str) -> str:
        """Return the value of the string flag ``name``; empty if unset."""
        value = self.get(name)
        return value if isinstance(value, str) else ""

    def path(self, name: str) -> Path | None:
        """Return the value of the path flag ``name``; None if unset or empty."""
        text = self.text(name)
        return Path(text) if text else None

    def number(self, name: str) -> int | None:
        """Return the value of the integer flag ``name``; None if unset."""
        value = self.get(name)
        return value if isinstance(value, int) else None

    def seconds(self, name: str) -> float:
        """Return the value of the duration flag ``name`` in seconds; 0 if unset or negative."""
        value = self.get(name)
        return max(0.0, value) if isinstance(value, float) else 0.0

    def items(self, name: str) -> list[str]:
        """Return the values of the repeatable flag ``name``."""
        value = self.get(name)
        return value if isinstance(value, list) else []


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Parse a command line without the name of the program.

    Raises:
        UsageError: with Skopeo's message.
    """
    line = CommandLine(PROGRAM)
    words = list(arguments)
    flags = PROGRAM.find_flags().values()
    alone = {f"--{flag.name}" for flag in flags if flag.type == "bool"}
    alone |= {f"-{flag.short}" for flag in flags if flag.short and flag.type == "bool"}
    at, awaits_value = None, False
    for position, word in enumerate(words):
        if "=" not in word and (word.startswith("--") or (len(word) == 2 and word[0] == "-")):
            awaits_value = word not in alone
        elif awaits_value:
            awaits_value = False
        elif not word.startswith("-"):
            at = position if word in COMMANDS or word == _HELP else None
            break
    if at is None:
        _parse_words(PROGRAM, words, line.global_flags, line.arguments)
        return line
    _parse_words(PROGRAM, words[:at], line.global_flags, [])
    if words[at] == _HELP:
        line.command = COMMANDS.get(next(iter(words[at + 1 :]), ""), PROGRAM)
        line.flags[_HELP] = True
        return line
    line.command = COMMANDS[words[at]]
    _parse_words(line.command, words[at + 1 :], line.flags, line.arguments)
    return line


def create_unknown_command_error(arguments: Sequence[str]) -> UsageError:
    """Return the error for a command line without a known command."""
    hint = "Try 'skopeo --help' for more information"
    if not arguments:
        return UsageError(f"Missing command 'skopeo COMMAND'\n{hint}")
    name = arguments[0]
    typed, known = name.lower(), [item.name for item in COMMANDS.values() if not item.hidden]
    similar = sorted(
        item for item in known if item.startswith(typed) or _count_edits(typed, item) <= _MAX_EDITS
    )
    suggestion = "\nDid you mean this?\n\t{}\n\n".format("\n\t".join(similar)) if similar else ""
    return UsageError(f"Unrecognized command `skopeo {name}`\n{suggestion}{hint}")


def _parse_words(
    command: SkopeoCommand, words: list[str], flags: dict[str, FlagValue], arguments: list[str]
) -> None:
    """Parse the arguments of a command into ``flags`` and ``arguments``."""
    parser = _ArgvParser(command, list(words), flags)
    while parser.words:
        word = parser.words.pop(0)
        if word == "--":
            arguments += parser.words
            return
        if word.startswith("--"):
            parser.long(word)
        elif word.startswith("-") and word != "-":
            parser.short(word[1:])
        else:
            arguments.append(word)


class _ArgvParser:
    """One pass over a command line; ``words`` are the arguments not parsed yet."""

    def __init__(
        self, command: SkopeoCommand, words: list[str], values: dict[str, FlagValue]
    ) -> None:
        self._flags = command.find_flags()
        self._letters = {flag.short: flag for flag in self._flags.values() if flag.short}
        self.words = words
        self._values = values

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
            remaining, letters = letters, letters[1:]
            letter = quote_rune(remaining[0])
            flag = self._letters.get(remaining[0])
            if flag is None:
                raise UsageError(f"unknown shorthand flag: {letter} in -{remaining}")
            if len(remaining) > 2 and remaining[1] == "=":
                value, letters = remaining[2:], ""
            elif letters and flag.type != "bool":
                value, letters = letters, ""
            else:
                value = self._value(flag, f"{letter} in -{remaining}")
            self._set(flag, value)

    def _value(self, flag: Flag, spelling: str) -> str:
        if flag.type == "bool":
            return "true"
        if not self.words:
            raise UsageError(f"flag needs an argument: {spelling}")
        return self.words.pop(0)

    def _set(self, flag: Flag, text: str) -> None:
        try:
            value = flag_values.PARSERS[flag.type](text)
        except ValueError as error:
            raise UsageError(
                f"invalid argument {quote(text)} for {quote(flag.spelling)} flag: {error}"
            ) from None
        former = self._values.get(flag.name)
        if isinstance(value, list) and isinstance(former, list):
            value = former + value
        self._values[flag.name] = value


def _count_edits(left: str, right: str) -> int:
    """Return the edit distance of two words."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        corner, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (a != b))
    return row[-1]
