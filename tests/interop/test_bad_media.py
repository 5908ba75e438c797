"""Media that are full, read-only, or contain other files."""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests import kernel
from tests.fakes import bundles, images
from tests.interop import servers
from tests.interop.conftest import LAYER
from tests.interop.refusals import assert_refused, export

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

CHANGE = """
import mmap
with open("medium", "r+b") as file, mmap.mmap(file.fileno(), 0) as content:
    content[content.find({needle!r})] ^= 1
"""


@pytest.mark.kernel("mounts")
def test_export_to_full_medium_fails_before_first_write(airbundle, tmp_path) -> None:
    layout = images.write_layout(
        tmp_path / "layout", {"a": images.image(images.layer({"a": os.urandom(3_000_000)}))}
    )

    result, left = run_on_small_disk(
        airbundle, tmp_path, "size=2m", *export_command(tmp_path, f"oci:{layout}:a")
    )

    assert_refused(result, 5, "disk/bundle", "bytes")
    assert left in ([], ["bundle"])


@pytest.mark.kernel("mounts")
@pytest.mark.parametrize("in_place", [False, True])
def test_renewal_without_room_for_both_bundles(airbundle, tmp_path, in_place) -> None:
    """The former bundle is removed only if the user says so."""
    big = {name: images.layer({name: os.urandom(3_000_000)}) for name in ("old", "new")}
    named = {name: images.image(layer) for name, layer in big.items()}
    layout = images.write_layout(tmp_path / "layout", named)
    old = bundles.write(tmp_path / "old", {"quay.io/old:1": named["old"]}, stream="m")
    option = ["--in-place"] if in_place else []

    result, left = run_on_small_disk(
        airbundle,
        tmp_path,
        "size=8m",
        *export_command(tmp_path, f"oci:{layout}:new"),
        *option,
        content=old,
    )

    stored = {name: f"bundle/blobs/sha256/{big[name].blob.digest[7:]}" in left for name in big}
    assert stored == {"old": not in_place, "new": in_place}
    assert "bundle/bundle.json" in left
    if not in_place:
        assert_refused(result, 5, "disk/bundle", "bytes", "--in-place")


@pytest.mark.kernel("mounts")
def test_export_that_fills_medium_is_reported(airbundle, layout, tmp_path) -> None:
    """The medium has room for the bytes but not for the number of files."""
    result, left = run_on_small_disk(
        airbundle,
        tmp_path,
        "size=20m,nr_inodes=10",
        *export_command(tmp_path, f"oci:{layout}:app:1", f"oci:{layout}:tool:1"),
    )

    assert_refused(result, 5, "disk/bundle")
    assert "bundle/bundle.json" not in left


@pytest.mark.kernel("mounts")
def test_export_to_read_only_medium_is_refused(airbundle, layout, tmp_path) -> None:
    result, left = run_on_small_disk(
        airbundle, tmp_path, "size=20m,ro", *export_command(tmp_path, f"oci:{layout}:app:1")
    )

    assert_refused(result, 5, "disk", "read-only")
    assert left == []


@pytest.mark.kernel("loop devices")
def test_read_back_finds_what_the_cache_hides(airbundle, tmp_path) -> None:
    """The medium is a file, in which a byte of a layer is changed under the mounted file system."""
    layer = images.layer({"a": os.urandom(1_000_000)})
    layout = images.write_layout(tmp_path / "layout", {"a": images.image(layer)})
    export_layout = (*airbundle.command, *export_command(tmp_path, f"oci:{layout}:a"))
    (tmp_path / "change.py").write_text(CHANGE.format(needle=layer.blob.data[4096:4196]))
    script = f"""
        cd {tmp_path}; truncate -s 40M medium; mkfs.ext4 -q medium; mkdir disk
        mount -o loop medium disk
        {shlex.join(export_layout)} --read-back && sync
        {sys.executable} change.py
        {shlex.join((*airbundle.command, "verify", "disk/bundle"))} || echo "cached: $?" >&2
        {shlex.join(export_layout)} --read-back
    """
    namespace = servers.Client(
        (servers.program("unshare"), "--mount", "sh", "-euc"), airbundle.home, airbundle.environment
    )

    result = namespace(script)

    assert "as written" in result.stdout
    assert "cached: 4" in result.stderr  # whole, but not signed
    assert result.returncode == 5
    assert "does not return what was written" in result.stderr
    assert layer.blob.digest[7:] in result.stderr


def test_export_refuses_directory_with_other_files(airbundle, layout, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/holiday.jpg").write_bytes(b"beach")

    result = export(airbundle, tmp_path, f"images: ['oci:{layout}:app:1']\n")

    assert result.returncode in (2, 5, 10)
    assert_refused(result, result.returncode, f"{tmp_path}/out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["holiday.jpg"]


def test_second_export_to_same_bundle_is_refused(airbundle, fake, tmp_path) -> None:
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

    assert_refused(second, 5, f"{tmp_path}/out", f"@{os.uname().nodename}, process {first.pid}, ")
    assert airbundle("verify", tmp_path / "out").returncode == 4


def export_command(tmp_path: Path, *names: str) -> tuple[str, ...]:
    """Return the arguments of an export to ``disk/bundle``."""
    (tmp_path / "m.yaml").write_text(f"images: {list(names)}\n")
    return ("export", str(tmp_path / "m.yaml"), str(tmp_path / "disk/bundle"), "--unsigned")


def run_on_small_disk(
    airbundle: servers.Client,
    tmp_path: Path,
    options: str,
    *arguments: str,
    content: Path | None = None,
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run with a small file system at ``disk``; return the result and the files that are left.

    ``content`` is a directory that is copied there as ``bundle``; None: it is empty. The file
    system is mounted in a mount namespace of the command, which disappears with it.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o "$1" none "$2" && disk=$2 || exit 99; '
    script += '[ -z "$3" ] || cp -a "$3" "$disk/bundle" || exit 99; shift 3; "$@"; status=$?; '
    script += 'echo; cd "$disk"; find . -mindepth 1 | cut -c3-; exit $status'
    shell = ("sh", "-c", script, "sh", options, str(disk), str(content or ""))
    inside = servers.Client(
        (*kernel.namespace("mount"), *shell, *airbundle.command),
        airbundle.home,
        airbundle.environment,
    )
    result = inside(*arguments)
    assert result.returncode != 99, result.stderr
    return result, sorted(result.stdout.split("\n\n", 1)[-1].split())


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
