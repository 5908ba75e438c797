"""An import that was interrupted in the middle of a large blob continues there."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import CommandResult, RunAirbundle

LAYER = images.layer({"data": random.Random(7).randbytes(9_000_000)}, compression="stored")
IMAGE = images.image(LAYER)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def run_import(run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path):
    bundles.write(tmp_path / "bundle", {"quay.io/app:1": IMAGE})

    def run() -> CommandResult:
        return run_airbundle(
            *("import", "bundle", f"docker://{registry.host}", "--tls-verify=false", "--json"),
            *("--allow-unsigned", "--reason", "test", "--adopt", "--records", "records"),
            *("--patience", "0s"),
        )

    return run


def test_second_import_sends_only_the_rest(run_import, registry: FakeRegistry, tmp_path: Path):
    """The first import ends after two thirds of the layer."""
    cut, size = 6_000_000, len(LAYER.blob.data)
    registry.fail("PATCH", cut_after=cut)

    first, second = run_import(), run_import()

    assert first.status == 6, first.stderr
    assert second.status == 0, second.stderr
    totals = json.loads(second.stdout)["bytes"]
    assert totals["resumed"] == cut
    assert totals["pushed"] < size - cut + 1_000
    assert registry.repository("app").blobs[LAYER.blob.digest] == LAYER.blob.data
    assert not list((tmp_path / "records/uploads").iterdir())


def test_import_after_a_lost_upload_begins_anew(run_import, registry: FakeRegistry):
    registry.fail("PATCH", cut_after=6_000_000)
    assert run_import().status == 6
    registry.repository("app").uploads.clear()

    second = run_import()

    assert second.status == 0, second.stderr
    assert json.loads(second.stdout)["bytes"]["resumed"] == 0
    assert registry.repository("app").blobs[LAYER.blob.digest] == LAYER.blob.data
