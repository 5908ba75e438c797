"""``airbundle undo``: the receipt and the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.cli.commands.records.test_schemas import load
from tests.fakes import bundles, images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = "quay.io/web:1"
NEW = images.image(config={"author": "new"})
OTHER = images.image(config={"author": "other"})


class Site:
    """A registry that deletes tags, with an import of one new name."""

    def __init__(self, run: RunAirbundle, path: Path, registry: FakeRegistry) -> None:
        self.run, self.path, self.registry = run, path, registry
        bundles.write(path / "bundle", {NAME: NEW})
        overrides = ("--allow-unsigned", "--reason", "test", "--receipt", "receipt.json")
        result = self("import", "bundle", f"docker://{registry.host}", *overrides)
        assert result[0] == 0, result

    def __call__(self, *arguments: str) -> tuple[int, str]:
        options = ("--tls-verify=false", "--records", "records")
        result = self.run(*arguments, *options)
        return result.status, result.stdout + result.stderr

    def read_log(self) -> list[dict[str, Any]]:
        return [*map(json.loads, (self.path / "records/log.jsonl").read_text().splitlines())]


@pytest.fixture
def site(run_airbundle: RunAirbundle, tmp_path: Path) -> Iterator[Site]:
    with FakeRegistry() as registry:
        yield Site(run_airbundle, tmp_path, registry)


def test_log_has_an_entry_before_the_first_change_and_after_the_last(site: Site):
    assert site("undo", "receipt.json", "--reason", "broken")[0] == 0
    _, start, end = site.read_log()
    assert (start["event"], start["reason"], start["images"]) == ("undo-start", "broken", 1)
    assert (end["event"], end["receipt"], end["failed"]) == ("undo", start["receipt"], 0)
    for entry in (start, end):
        jsonschema.validate(entry, load("log-entry"))
    assert site.run("log", "verify", "--records", "records").status == 0


def test_refused_undo_changes_no_name_and_leaves_no_entry(site: Site):
    images.push(site.registry.host, "web", OTHER, "1")
    status, output = site("undo", "receipt.json", "--reason", "broken")
    assert (status, "nothing was undone" in output) == (10, True)
    assert [entry["event"] for entry in site.read_log()] == ["import"]


def test_receipt_that_is_not_as_the_log_states_is_refused(site: Site, tmp_path: Path):
    (recorded,) = (tmp_path / "records/receipts").glob("*.json")
    text = recorded.read_text()
    before = site.registry.count("DELETE|PUT")
    for name in ("changed.json", recorded.name):
        (tmp_path / name).write_text(text.replace(NEW.digest, OTHER.digest))
        for option in (("--reason", "broken"), ("--dry-run",)):
            status, output = site("undo", name, *option)
            assert status == 4
            expected = (
                "changed since its import (expected sha256:"
                if name == recorded.name
                else "not the receipt of an import in the log"
            )
            assert f"airbundle: error: {name}: {expected}" in output
    assert site.registry.count("DELETE|PUT") == before
    (tmp_path / "renamed.json").write_text(text)
    assert site("undo", "renamed.json", "--dry-run")[0] == 0


def test_receipt_of_a_restored_log_is_accepted(site: Site, tmp_path: Path):
    (tmp_path / "records/state.json").unlink()
    assert site.run("stream", "restore", "--reason", "x", "--records", "records").status == 0
    assert site("undo", "receipt.json", "--dry-run")[0] == 0
