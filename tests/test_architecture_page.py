"""docs/architecture.md names files that exist, and lists few files to read for an export."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\(\.\./([^)]+)\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_layer_is_described() -> None:
    """The table of layers has every folder and module of the package."""
    table = PAGE.partition("## Layers")[2].partition("##")[0]
    parts = {path.stem for path in (ROOT / "bundler").iterdir() if path.suffix in ("", ".py")}
    hidden = {"__init__", "__pycache__", "schemas", "py"}
    assert {part for part in parts - hidden if f"`{part}`" not in table} == set()


def test_files_to_read_for_an_export_are_few_and_short() -> None:
    section = PAGE.partition("read these files, in this order:")[2].partition("\n##")[0]
    files = re.findall(r"\]\(\.\./([^)]+)\)", section)
    assert 0 < len(files) <= 12
    assert sum(len((ROOT / file).read_text().splitlines()) for file in files) <= 3000
