"""The documented formats and outputs stay as they were recorded.

Each scenario runs the command in an empty directory. ``expected/formats`` holds what other
programs and existing bundles rely on: ``bundle.json``, locks, receipts, layouts, JSON reports,
exit statuses, and all output under Skopeo's name. ``expected/messages`` holds the wording for
people; ``python -m tests.golden.record`` renews it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import pytest

from tests.golden.record import EXPECTED, play
from tests.golden.scenarios import SCENARIOS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", SCENARIOS)
def test_outputs_are_as_recorded(name: str, tmp_path: Path) -> None:
    changes: list[str] = []
    for path, text in play(name, tmp_path).items():
        recorded = (EXPECTED / path).read_text()
        changes += difflib.unified_diff(
            recorded.splitlines(), text.splitlines(), f"recorded {path}", "now", lineterm=""
        )
    assert not changes, "\n".join(changes)


def test_every_recording_has_a_scenario() -> None:
    assert {path.stem for path in EXPECTED.rglob("*.txt")} == set(SCENARIOS)
