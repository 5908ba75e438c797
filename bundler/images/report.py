"""A struct as the bytes that a command prints: indented JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.images import go_values

if TYPE_CHECKING:
    from bundler.images.go_values import Struct

_INDENT = 4


def report(value: Struct) -> bytes:
    """``value`` in JSON, with the line's end."""
    return f"{go_values.encode(value, indent=_INDENT)}\n".encode()
