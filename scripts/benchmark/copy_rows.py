"""What it costs to copy one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.benchmark import contents, table
from scripts.benchmark.bench import skopeo_copy
from scripts.benchmark.measuring import into
from scripts.benchmark.programs import is_old

if TYPE_CHECKING:
    from scripts.benchmark.bench import Bench
    from scripts.benchmark.table import Row


def copy(bench: Bench) -> list[Row]:
    """From a registry onto the disk."""
    work = f"copy docker:// to oci:, {bench.megabytes * contents.ONE_IMAGE:.0f} MB"
    source = f"docker://{bench.host}/single:1"
    others = {
        name: into(
            bench.work / "other",
            lambda out, path=path: [skopeo_copy(path, source, f"oci:{out}:1")],
        )
        for name, path in bench.programs.skopeos.items()
    }
    ours = into(bench.work / "ours", lambda out: [bench.copy(source, f"oci:{out}:1")])
    bench.meter.compare(work, {"airbundle": ours, **others})
    return [table.ratio(bench.meter, work, name, 0.9 if is_old(name) else 1.1) for name in others]
