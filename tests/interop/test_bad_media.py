"""Sticks that are full, write-protected, or somebody else's."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests import kernel
from tests.fakes import images
from tests.interop import servers
from tests.interop.conftest import LAYER
from tests.interop.refusals import export, refused

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.kernel("mounts")
def test_full_disk_is_said_before_the_first_byte(airbundle, tmp_path) -> None:
    layout = images.write_layout(
        tmp_path / "layout", {"a": images.image(images.layer({"a": os.urandom(3_000_000)}))}
    )

    ran, left = on_small_disk(
        airbundle, tmp_path, "size=2m", *exporting(tmp_path, f"oci:{layout}:a")
    )

    refused(ran, 5, "disk/bundle", "bytes")
    assert left in ([], ["bundle"])


@pytest.mark.kernel("mounts")
def test_disk_full_in_mid_write(airbundle, layout, tmp_path) -> None:
    """There is room for the bytes, as far as can be told, but not for the files."""
    ran, left = on_small_disk(
        airbundle,
        tmp_path,
        "size=20m,nr_inodes=10",
        *exporting(tmp_path, f"oci:{layout}:app:1", f"oci:{layout}:tool:1"),
    )

    refused(ran, 5, "disk/bundle")
    assert "bundle/bundle.json" not in left


@pytest.mark.kernel("mounts")
def test_read_only(airbundle, layout, tmp_path) -> None:
    ran, left = on_small_disk(
        airbundle, tmp_path, "size=20m,ro", *exporting(tmp_path, f"oci:{layout}:app:1")
    )

    refused(ran, 5, "disk", "read-only")
    assert left == []


def test_somebody_elses_files(airbundle, layout, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/holiday.jpg").write_bytes(b"beach")

    ran = export(airbundle, tmp_path, f"images: ['oci:{layout}:app:1']\n")

    assert ran.returncode in (2, 5, 10)
    refused(ran, ran.returncode, f"{tmp_path}/out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["holiday.jpg"]


def test_two_exports_at_once(airbundle, fake, tmp_path) -> None:
    fake.fail("GET", images.sha256(LAYER), times=1, delay=4)
    (tmp_path / "m.yaml").write_text(
        f"registries: {{'{fake.host}': {{tls: {{plainHttp: true}}}}}}\n"
        f"images: ['{fake.host}/library/app:1']\n"
    )
    command = ("export", tmp_path / "m.yaml", tmp_path / "out", "--unsigned")
    with airbundle.start(*command) as first:
        wait_until(lambda: fake.count("GET", images.sha256(LAYER)))
        second = airbundle(*command)
        assert first.wait(30) == 0

    refused(second, 5, f"{tmp_path}/out")
    assert airbundle("verify", tmp_path / "out").returncode == 4


def exporting(tmp_path: Path, *names: str) -> tuple[str, ...]:
    """The arguments of an export to ``disk/bundle``."""
    (tmp_path / "m.yaml").write_text(f"images: {list(names)}\n")
    return ("export", str(tmp_path / "m.yaml"), str(tmp_path / "disk/bundle"), "--unsigned")


def on_small_disk(
    airbundle: servers.Client, tmp_path: Path, options: str, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run with a small file system at ``disk``; what it ended with, and what is left on disk.

    The file system is mounted where only the command sees it, and is gone with it.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o "$1" none "$2" && disk=$2 && shift 2 || exit 99; "$@"; status=$?; '
    script += 'echo; cd "$disk"; find . -mindepth 1 | cut -c3-; exit $status'
    shell = ("sh", "-c", script, "sh", options, str(disk))
    inside = servers.Client(
        (*kernel.namespace("mount"), *shell, *airbundle.command),
        airbundle.home,
        airbundle.environment,
    )
    ran = inside(*arguments)
    assert ran.returncode != 99, ran.stderr
    return ran, sorted(ran.stdout.split("\n\n", 1)[-1].split())


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
