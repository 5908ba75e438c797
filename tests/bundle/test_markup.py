"""Escaping of text in pages."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given, strategies as st

from bundler.bundle import markup
from tests.bundle.audit.report.conftest import ATTACK

TEXTS = st.text(st.characters(), max_size=50) | st.just(ATTACK)


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.data += data


@given(TEXTS)
def test_text_stays_text(text: str):
    parser = _Elements()
    parser.feed(markup.create_element("p", markup.to_html(text), title=text))
    parser.close()
    assert parser.found == [("p", [("title", markup.show(text))])]
    assert parser.data == markup.show(text)
    assert markup.show(text).isprintable()


@given(TEXTS)
def test_data_block_contains_no_markup(text: str):
    block = markup.create_data_block({"texts": [markup.show(text)]})
    assert not set("<>&") & set(block)
    assert json.loads(block) == {"texts": [markup.show(text)]}


def test_long_text_states_its_length():
    assert markup.show("x" * 2_500).endswith("x… (500 more characters)")
