"""``airbundle manifest-digest``: one line, and never more than a manifest is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

IMAGE = images.image()


def test_a_file_and_standard_input(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(IMAGE.root.data)
    outcome = run_airbundle("manifest-digest", "m.json")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, f"{IMAGE.digest}\n", "")
    piped = run_airbundle("manifest-digest", "-", stdin=IMAGE.root.data.decode())
    assert piped.stdout == outcome.stdout
    document = json.loads(run_airbundle("manifest-digest", "--json", "m.json").stdout)
    assert document == {"file": "m.json", "digest": IMAGE.digest}


def test_a_file_that_is_not_there(run_airbundle: RunAirbundle) -> None:
    assert run_airbundle("manifest-digest", "m.json").status == 9


def test_more_than_a_manifest_is_refused(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(8 * 1024**4)
    outcome = run_airbundle("manifest-digest", "large")
    assert (outcome.status, outcome.stdout) == (8, "")
    assert run_airbundle("manifest-digest", "/dev/zero").status == 8
