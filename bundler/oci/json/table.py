"""Typed access to the members of a JSON object or a TOML table; an error names the member.

A null member counts as absent. Negative integers are refused: none of the formats that this program
reads has them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.oci.digest import Digest
from bundler.oci.json import strict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Table:
    """Members of one object, the subject of error messages, and the error to raise.

    A method raises ``error`` if the member has another type, or if it is absent and the method has
    no default. Tables read from this one inherit ``error`` and ``noun``.
    """

    value: Mapping[str, Any] = field(repr=False)
    subject: str
    error: Callable[[str], BundlerError] = MalformedError
    noun: str = "object"
    """The format's word for an object: ``object`` in JSON, ``table`` in TOML."""

    @classmethod
    def of(
        cls,
        value: object,
        subject: str,
        *,
        error: Callable[[str], BundlerError] = MalformedError,
        noun: str = "object",
    ) -> Self:
        """Create a table from a parsed value.

        Raises:
            error: ``value`` is not an object.
        """
        if not isinstance(value, dict):
            raise error(f"{subject}: not {_with_article(noun)}")
        return cls(value, subject, error, noun)

    @classmethod
    def parse(
        cls,
        raw: bytes,
        subject: str,
        *,
        limit: int = strict.MAX_DOCUMENT,
        tolerant: bool = False,
    ) -> Self:
        """Parse a JSON document of at most ``limit`` bytes whose top level is an object.

        ``tolerant`` accepts the deviations that ``strict.loads`` describes.

        Raises:
            LimitError: the document is larger or deeper than allowed.
            MalformedError: the document is not strict JSON, or its top level is not an object.
        """
        value = strict.load_object(raw, subject=subject, limit=limit, tolerant=tolerant)
        return cls(value, subject)

    def __contains__(self, key: str) -> bool:
        return self.value.get(key) is not None

    def read(self, members: Mapping[str, Callable[[Table, str], Any] | None]) -> list[Any]:
        """Read several members in one call; return the values in the order of ``members``.

        Args:
            members: the method that reads each member, by name; None: a known member is not read.
                A name that differs from one of them only in case is refused, unless the member
                repeats the value.
        """
        self.refuse_other_case(members, may_repeat=True)
        return [read(self, key) for key, read in members.items() if read is not None]

    def text(self, key: str) -> str:
        """Return a string that must be present and not empty."""
        value = self.optional_text(key)
        if value is None:
            raise self.problem(f"{key} is missing or empty")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string, or None if it is absent or empty."""
        value = self.value.get(key)
        if value is not None and not isinstance(value, str):
            raise self.problem(f"{key} is not a string")
        return value or None

    def integer(self, key: str, default: int | None = None) -> int:
        """Return an integer of 0 or more."""
        value = self.value.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.problem(f"{key} is not an integer of 0 or more")
        return value

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """Return a boolean."""
        value = self.value.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            raise self.problem(f"{key} is neither true nor false")
        return value

    def one_of(self, key: str, choices: tuple[T, ...], default: T | None = None) -> T:
        """Return a value that must be one of ``choices``."""
        value = self.value.get(key)
        if value is None and default is not None:
            return default
        if value not in choices:
            raise self.problem(f"{key} is not one of {', '.join(map(str, choices))}")
        return cast("T", value)

    def digest(self, key: str) -> Digest:
        """Return a digest that must be present."""
        try:
            return Digest(self.text(key))
        except MalformedError as error:
            raise self.problem(f"{key}: {error.message}") from None

    def base64(self, key: str) -> bytes:
        """Return the bytes that a string encodes in base64; empty if it is absent."""
        from bundler.oci.json import base64_strict  # noqa: PLC0415 - rare

        text = self.optional_text(key) or ""
        return base64_strict.decode(text, f"{self.subject}: {key}", error=self.error)

    def base64url(self, key: str) -> bytes:
        """Return the bytes that a string encodes in base64url; empty if it is absent."""
        from bundler.oci.json import base64_strict  # noqa: PLC0415 - rare

        text = self.optional_text(key) or ""
        return base64_strict.decode_url(text, f"{self.subject}: {key}", error=self.error)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of strings; empty if it is absent."""
        values = self._read(key, list, "an array of strings") or []
        if not all(isinstance(value, str) for value in values):
            raise self.problem(f"{key} is not an array of strings")
        return tuple(values)

    def text_map(self, key: str) -> dict[str, str]:
        """Return an object whose values are strings; empty if it is absent."""
        values = self._read(key, dict, f"{_with_article(self.noun)} of strings") or {}
        if not all(isinstance(value, str) for value in values.values()):
            raise self.problem(f"{key} is not {_with_article(self.noun)} of strings")
        return values

    def annotations(self, key: str) -> dict[str, str]:
        """Return the members of an object whose values are strings; the others are left out.

        Annotations are only copied, as part of their document, unless the program knows their name.
        """
        values = self.value.get(key)
        if not isinstance(values, dict):
            return {}
        return {name: value for name, value in values.items() if isinstance(value, str)}

    def table(self, key: str) -> Self:
        """Return an object; an empty one if it is absent."""
        return self._create(self._read(key, dict, _with_article(self.noun)) or {}, key)

    def optional_table(self, key: str) -> Self | None:
        """Return an object, or None if it is absent."""
        return self.table(key) if key in self else None

    def tables(self, key: str, limit: int | None = None) -> tuple[Self, ...]:
        """Return an array of objects; empty if it is absent.

        Raises:
            LimitError: the array has more than ``limit`` entries.
        """
        values = self._read(key, list, f"an array of {self.noun}s") or []
        if not all(isinstance(value, dict) for value in values):
            raise self.problem(f"{key} is not an array of {self.noun}s")
        if limit is not None and len(values) > limit:
            raise LimitError(
                f"{self.subject}: too many {key} (expected at most {limit:,}, got {len(values):,})"
            )
        return tuple(self._create(value, f"{key}[{index}]") for index, value in enumerate(values))

    def refuse_other_case(self, known: Collection[str], *, may_repeat: bool = False) -> None:
        """Refuse a member whose name differs from a known name only in case.

        Go's parsers match names without regard to case and use the last match, so other programs
        would read a member that this program ignores. With ``may_repeat``, a member that repeats
        the value of the known one is accepted; absent, null and empty values are equal.
        """
        unknown = [key for key in self.value if key not in known]
        folded = {name.casefold(): name for name in known} if unknown else {}
        for key in unknown:
            if (name := folded.get(key.casefold())) is None:
                continue
            if not may_repeat or (self.value[key] or None) != (self.value.get(name) or None):
                raise self.problem(f"the member {key!r} must be spelled {name!r}")

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Refuse every member whose name is not in ``known``."""
        for key in self.value:
            if key not in known:
                raise self.problem(f"unknown key {key[:80]!r}")

    def problem(self, text: str) -> BundlerError:
        """Create the error for a problem with this table; the caller raises it."""
        return self.error(f"{self.subject}: {text}")

    def _read(self, key: str, kind: type[T], expected: str) -> T | None:
        value = self.value.get(key)
        if value is not None and not isinstance(value, kind):
            raise self.problem(f"{key} is not {expected}")
        return value

    def _create(self, value: Mapping[str, Any], key: str) -> Self:
        return type(self)(value, f"{self.subject}: {key}", self.error, self.noun)


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
