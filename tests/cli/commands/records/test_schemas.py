"""The files of the records match their schemas and their description in docs/format.md."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.cli.commands.log.test_evidence import read_object
from tests.cli.commands.records.test_records import SERIAL, Site

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle

NAMES = ("log-entry", "stream-state", "receipt", "evidence")
PAGE = (Path(__file__).parents[4] / "docs/format.md").read_text()


def load(name: str) -> dict[str, Any]:
    return json.loads((resources.files("bundler") / f"schemas/{name}.schema.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_format_page_describes_every_member(name: str):
    for member in load(name)["properties"]:
        assert f"`{member}`" in PAGE


def test_records_of_every_event_match_their_schemas(tmp_path: Path, run_airbundle: RunAirbundle):
    site = Site(tmp_path, run_airbundle)
    site.write_bundle("bundle")
    site.write_bundle("old", serial=SERIAL - 1)
    site.import_("bundle")
    site.import_("old")
    site.import_("old", "--allow-rollback", "--reason", "test")
    (site.path / "gate.yaml").write_text("rules: {not-root: note}")
    site.run("audit", "old", "--rules", "gate.yaml", "--records", site.records)
    (site.records / "state.json").unlink()
    site.run("stream", "restore", "--reason", "test")
    (former,) = site.records.glob("log.jsonl.*.former")
    site.run("stream", "reset", "plant-7", "--reason", "test")
    entries = [*map(json.loads, former.read_text().splitlines()), *site.read_log()]
    events = {entry["event"] for entry in entries}
    assert events == {"import", "audit", "refused", "restore", "reset"}
    for entry in entries:
        jsonschema.validate(entry, load("log-entry"))
    for path in (site.records / "receipts").iterdir():
        jsonschema.validate(json.loads(path.read_text()), load("receipt"))
    for entry in entries:
        if "evidence" in entry:
            jsonschema.validate(read_object(site.records, entry["evidence"]), load("evidence"))
    for path in site.records.glob("state.json*"):
        jsonschema.validate(json.loads(path.read_text()), load("stream-state"))
