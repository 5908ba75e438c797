"""The documented formats and outputs are as recorded.

Each scenario runs the command in an empty directory. ``expected/formats`` holds the output that
other programs and existing bundles depend on: ``bundle.json``, lock files, receipts, layouts, JSON
reports, exit statuses, and all output under the name skopeo. ``expected/messages`` holds the text
for people; ``python -m tests.golden.record`` renews it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest

from tests.golden.record import EXPECTED, run_scenario
from tests.golden.scenarios import SCENARIOS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", SCENARIOS)
def test_output_is_as_recorded(name: str, tmp_path: Path) -> None:
    changes: list[str] = []
    for path, text in run_scenario(name, tmp_path).items():
        recorded = (EXPECTED / path).read_text()
        changes += difflib.unified_diff(
            recorded.splitlines(), text.splitlines(), f"recorded {path}", "now", lineterm=""
        )
    assert not changes, "\n".join(changes)


def test_every_recording_has_scenario() -> None:
    assert {path.stem for path in EXPECTED.rglob("*.txt")} == set(SCENARIOS)
