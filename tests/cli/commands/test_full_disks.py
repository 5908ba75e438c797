"""Disks that are too small, which is reported before the first byte is written."""

from __future__ import annotations

import json
import random
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import CommandResult, RunAirbundle

KIB = 1024
SIZE = 5120 * KIB
LAYER = images.layer({"content": random.Random(5).randbytes(SIZE)})
FORMAT = r"needs [\d.]+ MiB \(([\d,]+) bytes\), but only [\d.]+ .?i?B \(([\d,]+) bytes\) is free"

pytestmark = pytest.mark.kernel("mounts")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB at ``disk``, and a layout with an image of 5 MiB."""
    images.write_layout(tmp_path / "layout", {"app:1": images.image(LAYER)})
    (tmp_path / "ward.yaml").write_text("name: ward\nimages: ['oci:./layout:app:1']\n")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path, *, free: int) -> None:
    """Fill the disk, except for ``free`` bytes."""
    (disk / "filler").write_bytes(bytes(16384 * KIB - free - used(disk)))


def used(disk: Path) -> int:
    sizes = [path.stat().st_size for path in bundles.find_files(disk) if path.name != "filler"]
    return sum(-(-size // 4096) * 4096 for size in sizes)


def parse_error(result: CommandResult) -> tuple[int, int]:
    """Return the needed and the free bytes in the message."""
    assert result.status == 5, result.stderr
    found = re.search(FORMAT, result.stderr)
    assert found is not None, result.stderr
    needed, free = (int(number.replace(",", "")) for number in found.groups())
    assert needed > free
    return needed, free


@pytest.mark.parametrize(
    "arguments",
    [
        "copy oci:layout:app:1 oci:disk/out:app",
        "copy oci:layout:app:1 dir:disk/out",
        "copy oci:layout:app:1 oci-archive:disk/out.tar",
        "copy oci:layout:app:1 docker-archive:disk/out.tar:app:1",
        "sync --src oci --dest dir layout disk/out",
        "sync --src oci --dest oci layout disk/out",
    ],
)
def test_copy_to_small_disk_ends_before_the_first_byte(
    disk: Path, run_airbundle: RunAirbundle, arguments: str
):
    fill(disk, free=500 * KIB)
    needed, _ = parse_error(run_airbundle(*arguments.split()))
    assert needed > SIZE
    assert [path.name for path in bundles.find_files(disk)] == ["filler"]


@pytest.mark.parametrize("free", [1024 * KIB, 6144 * KIB, 12288 * KIB])
def test_plan_agrees_with_export(disk: Path, run_airbundle: RunAirbundle, free: int):
    """Both count the manifests and the small files of a bundle too."""
    fill(disk, free=free)
    room = json.loads(run_airbundle("plan", "ward.yaml", "disk/b", "--json").stdout)["room"]
    text = run_airbundle("plan", "ward.yaml", "disk/b").stdout
    assert "; needed: 9." in text
    result = run_airbundle("export", "ward.yaml", "disk/b", "--unsigned")
    assert room["enough"] == (result.status == 0)
    if result.status:
        assert parse_error(result) == (room["needed"], room["free"])
        assert "not enough" in text


def test_repair_of_damaged_blob_needs_space(disk: Path, run_airbundle: RunAirbundle):
    """The new blob is complete before it replaces the damaged one."""
    assert run_airbundle("export", "ward.yaml", "disk/b", "--unsigned").status == 0
    blob = bundles.find_largest_blob(disk / "b")
    size = blob.stat().st_size
    blob.write_bytes(bytes(size))
    fill(disk, free=4608 * KIB)
    needed, _ = parse_error(run_airbundle("export", "ward.yaml", "disk/b", "--unsigned"))
    assert needed == size


def test_import_with_full_records_pushes_nothing(
    tmp_path: Path, disk: Path, run_airbundle: RunAirbundle
):
    """An import that cannot be recorded would change the target."""
    exported = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    assert exported.status == 0, exported.stderr
    command = ("import", "stick", "oci:inside", "--allow-unsigned", "--reason", "test")
    fill(disk, free=100 * KIB)
    refused = run_airbundle(*command, "--records", disk / "records")
    assert parse_error(refused)[0] == 1024 * KIB
    assert not (tmp_path / "inside").exists()
    (disk / "filler").unlink()
    assert run_airbundle(*command, "--records", disk / "records").status == 0
