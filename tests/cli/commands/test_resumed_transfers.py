"""A run that was interrupted within a blob, and the next one, which requests only the rest."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time

import pytest

from tests.cli.launcher import AIRBUNDLE
from tests.fakes.registry import FakeRegistry

MIB = 1024 * 1024
SMALL = (12 * MIB, 8 * MIB)
LARGE = (300 * MIB, 200 * MIB)
DESTINATIONS = {
    "export-oci": ("export", "{manifest}", "{target}", "--unsigned"),
    "export-dir": ("export", "{manifest}", "{target}", "--format", "dir", "--unsigned"),
    "layout": ("copy", "docker://{image}", "oci:{target}:app"),
    "directory": ("copy", "docker://{image}", "dir:{target}"),
}


@pytest.fixture
def registry():
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture
def interrupt(registry, tmp_path, hermetic_environment):
    """Start a command, and send it a signal after the stalled blob was stored up to a size."""

    def run(command, stored, number):
        with subprocess.Popen(
            [*AIRBUNDLE, *command], env=hermetic_environment, stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + 60
            while not any(path.stat().st_size >= stored for path in find_parts(tmp_path)):
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(number)
            _, output = process.communicate(timeout=10)
        assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
        assert "Traceback" not in output

    return run


def find_parts(path):
    return list(path.rglob(".airbundle-*.part"))


def write_command(kind, registry, tmp_path):
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(
        f"name: app\nregistries: {{'{registry.host}': {{tls: {{plainHttp: true}}}}}}\n"
        f"images: ['{registry.host}/app:1']\n"
    )
    names = {
        "manifest": manifest,
        "target": tmp_path / "target",
        "image": f"{registry.host}/app:1",
    }
    more = ["--src-tls-verify=false"] if kind in ("layout", "directory") else []
    return [*(word.format_map(names) for word in DESTINATIONS[kind]), *more]


@pytest.mark.parametrize(
    ("kind", "number", "sizes"),
    [
        ("export-oci", signal.SIGINT, SMALL),
        ("export-dir", signal.SIGKILL, SMALL),
        ("layout", signal.SIGKILL, SMALL),
        ("directory", signal.SIGINT, SMALL),
        pytest.param("export-oci", signal.SIGINT, LARGE, marks=pytest.mark.thorough),
        pytest.param("export-oci", signal.SIGKILL, LARGE, marks=pytest.mark.thorough),
    ],
)
def test_next_run_requests_only_the_rest(
    registry, interrupt, run_airbundle, tmp_path, kind, number, sizes
):
    size, stored = sizes
    layer = os.urandom(size)
    registry.add_image("app", "1", layers=[layer])
    [digest] = [key for key, data in registry.repository("app").blobs.items() if data == layer]
    registry.fail("GET", digest, stall_after=stored)
    command = write_command(kind, registry, tmp_path)
    interrupt(command, stored - 2 * MIB, number)
    registry.requests.clear()

    second = run_airbundle(*command, "--json")

    assert second.status == 0, second.stderr
    [request] = registry.find_requests("GET", digest)
    offset = int(re.fullmatch(r"bytes=(\d+)-", request.headers["range"])[1])
    assert stored - 2 * MIB <= offset <= stored
    assert "already stored" in second.stderr
    moved = json.loads(second.stdout)["moved"]["bytes"]
    assert size - offset <= moved < size - offset + 10_000  # the config may be present
    assert not find_parts(tmp_path)
    [copied] = list((tmp_path / "target").rglob(f"*{digest.split(':')[1]}"))
    assert copied.read_bytes() == layer
    if kind.startswith("export"):
        assert ".part" not in (tmp_path / "target/SHA256SUMS").read_text()
        check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
        subprocess.run(check, cwd=tmp_path / "target", check=True)


def test_source_without_ranges_is_read_from_its_start(registry, interrupt, run_airbundle, tmp_path):
    size, stored = SMALL
    layer = os.urandom(size)
    registry.ranges = False
    registry.add_image("app", "1", layers=[layer])
    [digest] = [key for key, data in registry.repository("app").blobs.items() if data == layer]
    registry.fail("GET", digest, stall_after=stored)
    command = write_command("layout", registry, tmp_path)
    interrupt(command, stored - 2 * MIB, signal.SIGKILL)
    second = run_airbundle(*command)
    assert second.status == 0, second.stderr
    [copied] = list((tmp_path / "target").rglob(f"*{digest.split(':')[1]}"))
    assert copied.read_bytes() == layer
