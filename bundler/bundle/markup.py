"""HTML from text that may come from images: everything is escaped, and visible."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from html import escape as escape_markup
from typing import Any

from bundler.errors import escape as escape_unprintable

MAX_TEXT = 2_000
"""The maximum number of characters of one text in a page; a longer one states how many follow."""

_JSON_MARKUP = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def show(text: str) -> str:
    """Return ``text`` as a page shows it: printable, on one line, and not too long."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT:,} more characters)"
    return escape_unprintable(text)


def to_html(text: str) -> str:
    """Return ``text`` for the content of an element or the value of an attribute in quotes."""
    return escape_markup(show(text))


def create_element(name: str, content: str, **attributes: str) -> str:
    """Return an element. ``content`` is HTML; values are text; ``_`` in names becomes ``-``."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{to_html(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{pairs}>{content}</{name}>"


def create_data_block(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return JSON for a data block, in which no character can end the element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_JSON_MARKUP)


def create_source_hash(text: str) -> str:
    """Return the source expression of an inline script or style in a Content-Security-Policy.

    https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
