"""``airbundle manifest-digest``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

IMAGE = images.image()


def test_manifest_digest_of_file_and_standard_input(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    (tmp_path / "m.json").write_bytes(IMAGE.root.data)
    result = run_airbundle("manifest-digest", "m.json")
    assert (result.status, result.stdout, result.stderr) == (0, f"{IMAGE.digest}\n", "")
    piped = run_airbundle("manifest-digest", "-", stdin=IMAGE.root.data.decode())
    assert piped.stdout == result.stdout
    document = json.loads(run_airbundle("manifest-digest", "--json", "m.json").stdout)
    assert document == {"file": "m.json", "digest": IMAGE.digest}


def test_manifest_digest_of_missing_file_has_status_9(run_airbundle: RunAirbundle) -> None:
    assert run_airbundle("manifest-digest", "m.json").status == 9


def test_manifest_digest_refuses_oversized_input(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(8 * 1024**4)
    result = run_airbundle("manifest-digest", "large")
    assert (result.status, result.stdout) == (8, "")
    assert run_airbundle("manifest-digest", "/dev/zero").status == 8
