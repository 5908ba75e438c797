"""``airbundle lock``: the changes that it reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.commands.bundles.conftest import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


def test_lock_reports_unchanged_and_removed_images(work_dir: Path, run_airbundle: RunAirbundle):
    assert "changed" not in run_airbundle("lock", "ward.yaml").stdout
    assert "2 images, none changed" in run_airbundle("lock", "ward.yaml").stdout
    (work_dir / "ward.yaml").write_text(MANIFEST.replace("  - oci:./layout:web:1\n", ""))
    output = run_airbundle("lock", "ward.yaml").stdout
    assert "gone: localhost/web:1" in output
    assert "changed" not in output
