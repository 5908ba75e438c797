"""Regular expressions in Go's syntax (RE2), which match in time proportional to the text.

All expressions from files and options are compiled here: Python's own can take exponential time.

https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bundler.errors import UsageError

MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class GoExpression:
    """A compiled regular expression."""

    pattern: str
    _compiled: Any = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> GoExpression:
        """Compile ``text``.

        Raises:
            UsageError: the expression is invalid or too long.
        """
        import re2  # noqa: PLC0415 - only for files with expressions

        if len(text) > MAX_LENGTH:
            raise UsageError(f"the expression is longer than {MAX_LENGTH:,} characters")
        quiet = re2.Options()
        quiet.log_errors = False
        try:
            return cls(text, re2.compile(text, quiet))
        except re2.error as error:
            detail = error.args[0] if error.args else ""
            reason = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
            raise UsageError(f"{text[:80]!r} is not a valid regular expression: {reason}") from None

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of the named groups."""
        return tuple(self._compiled.groupindex)

    def find_groups(self, text: str, /) -> dict[str, str] | None:
        """Return the named groups of a match in ``text``; None if there is no match.

        A group that did not participate in the match is empty.
        """
        found = self._compiled.search(text)
        if found is None:
            return None
        return {name: found[name] or "" for name in self.groups}

    def search(self, text: str, /) -> object | None:
        """Return a match in ``text``, or None."""
        found: object | None = self._compiled.search(text)
        return found
