"""Text from outside, in a form that can be shown."""

from __future__ import annotations


def escape(text: str) -> str:
    r"""Return ``text`` with every character that is not printable escaped, as in ``\x1b``.

    Control characters and those that change the direction of text are not printable.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
