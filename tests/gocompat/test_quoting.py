"""Quoting as Go's ``%q``."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.gocompat.quoting import quote, quote_rune


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a "b" \\ c', r'"a \"b\" \\ c"'),
        ("a\nb\tc\r\a\b\f\v", r'"a\nb\tc\r\a\b\f\v"'),
        ("\x00\x1b\x7f", r'"\x00\x1b\x7f"'),
        ("é 世界 😀", '"é 世界 😀"'),
        ("\u00a0\u200b\u2028\ufeff", r'"\u00a0\u200b\u2028\ufeff"'),
        ("\U000e0001", r'"\U000e0001"'),
        (b"a\xff\x80".decode(errors="surrogateescape"), r'"a\xff\x80"'),
        ("'`", '"\'`"'),
    ],
)
def test_quote_escapes_like_go(text, shown):
    assert quote(text) == shown


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_quoted_string_can_be_unquoted(text):
    """Python reads Go's escapes."""
    shown = quote(text)
    assert shown.isprintable()
    escaped = shown[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")
    assert escaped == text


@pytest.mark.parametrize(
    ("char", "shown"), [("a", "'a'"), ("'", r"'\''"), ('"', "'\"'"), ("\n", r"'\n'")]
)
def test_quote_rune_escapes_only_the_single_quote(char, shown):
    assert quote_rune(char) == shown
