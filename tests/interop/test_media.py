"""``airbundle media`` on small file systems, and on devices that store less than they state."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from tests.interop import servers
from tests.interop.test_bad_media import run_on_small_disk

if TYPE_CHECKING:
    from pathlib import Path

LOSING = """
import os, sys
from pathlib import Path

synchronise = os.fdatasync

def lose(fd):
    synchronise(fd)
    for path in Path(sys.argv[2]).glob(".airbundle-*.part"):
        with path.open("r+b") as file:
            file.seek(3_500_000)
            file.write(b"lost")

os.fdatasync = lose
from bundler.cli.main import main
sys.exit(main())
"""


@pytest.mark.kernel("mounts")
def test_medium_is_described_and_tested(airbundle, tmp_path: Path) -> None:
    command = ("media", str(tmp_path / "disk"), "--json", "--probe-capacity")

    result, _ = run_on_small_disk(airbundle, tmp_path, "size=16m,nr_inodes=50", *command)

    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.split("\n\n")[0])
    assert (found["fileSystem"], found["total"], found["freeFiles"]) == ("tmpfs", 16 << 20, 49)
    assert found["abilities"] == {
        "caseSensitive": True,
        "hardLinks": True,
        "symbolicLinks": True,
    }
    assert found["speed"]["size"] == 8 << 20
    assert found["speed"]["write"] > 0 < found["speed"]["read"]
    assert found["capacity"]["written"] == found["capacity"]["intact"] > 14 << 20


@pytest.mark.kernel("mounts")
@pytest.mark.parametrize(("options", "status"), [((), 0), (("--probe-capacity",), 5)])
def test_read_only_medium_is_described(
    airbundle, tmp_path: Path, options: tuple[str, ...], status: int
) -> None:
    """A capacity that was not tested is not a success."""
    result, left = run_on_small_disk(
        airbundle, tmp_path, "size=16m,ro", "media", str(tmp_path / "disk"), *options
    )
    assert result.returncode == status, result.stderr
    assert "read-only" in result.stdout
    assert "speed" not in result.stdout
    assert left == []


@pytest.mark.kernel("mounts")
def test_capacity_of_a_full_medium_is_not_confirmed(airbundle, tmp_path: Path) -> None:
    result, _ = run_on_small_disk(
        *(airbundle, tmp_path, "size=64k", "media", str(tmp_path / "disk")),
        *("--no-test", "--probe-capacity"),
    )
    assert result.returncode == 5, result.stdout
    assert "are stored" not in result.stdout


@pytest.mark.kernel("mounts")
def test_lost_data_is_found(airbundle, tmp_path: Path) -> None:
    (tmp_path / "losing.py").write_text(LOSING)
    losing = servers.Client(
        (sys.executable, str(tmp_path / "losing.py")), airbundle.home, airbundle.environment
    )
    result, left = run_on_small_disk(
        losing,
        tmp_path,
        "size=16m",
        *("media", str(tmp_path / "disk"), "--no-test", "--probe-capacity"),
    )
    assert result.returncode == 12
    assert "first 3.0 MiB" in result.stderr
    assert left == []


@pytest.mark.kernel("loop devices")
def test_device_without_memory_is_found(airbundle, tmp_path: Path) -> None:
    """The device has 64 MiB, and the file behind it has room for 8."""
    command = (*airbundle.command, "media", "disk", "--no-test", "--probe-capacity")
    script = f"""
        cd {tmp_path}; mkdir memory disk; mount -t tmpfs -o size=8m none memory
        truncate -s 64M memory/device; mkfs.ext4 -q -O ^has_journal memory/device
        mount -o loop memory/device disk
        {shlex.join(command)}
    """
    namespace = servers.Client(
        (servers.program("unshare"), "--mount", "sh", "-euc"), airbundle.home, airbundle.environment
    )
    result = namespace(script)
    assert result.returncode in (5, 12), result.stdout + result.stderr
    assert "disk" in result.stderr
