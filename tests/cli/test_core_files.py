"""A core file of the program contains no secret, even if the limit of its size is raised."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bundler.trust import keys
from tests.fakes import bundles

PASSPHRASE, PIN = b"marked-passphrase-in-memory", b"marked-pin-in-memory"
PATTERN = Path("/proc/sys/kernel/core_pattern")


@pytest.mark.parametrize("filtered", [True, False])
def test_core_file_contains_no_secret(
    tmp_path: Path, hermetic_environment: dict[str, str], filtered: bool
):
    """Without the filter, it does, so that the test can fail."""
    bundles.write(tmp_path / "b")
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    for name, passphrase in (("key", PASSPHRASE), ("other", None)):
        keys.write_key_pair(tmp_path / name, keys.generate_key(), passphrase)
    signers = ("--key", "key.key", "--passphrase-file", "passphrase", "--sign-cmd-key", "other.pub")
    command = ("--sign-cmd", "sh -c 'touch ready; exec sleep 3'")
    process = subprocess.Popen(
        [sys.executable, "-m", "bundler.cli.main", "sign", "b", *signers, *command],
        cwd=tmp_path,
        env=hermetic_environment | {"TOKEN_PIN": PIN.decode()},
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    assert resource.prlimit(process.pid, resource.RLIMIT_CORE)[0] == 0
    core_filter = Path(f"/proc/{process.pid}/coredump_filter")
    assert int(core_filter.read_text(), 16) == 0
    if not filtered:
        core_filter.write_text("0x33")
    limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(process.pid, resource.RLIMIT_CORE, limit)
    os.kill(process.pid, signal.SIGABRT)
    assert process.wait() == -signal.SIGABRT
    files = list(tmp_path.glob("core*"))
    if PATTERN.read_text().strip() != "core" or not files:
        pytest.skip("the kernel does not write core files to the working directory")
    core = files[0].read_bytes()
    assert (PIN in core) != filtered
    assert PASSPHRASE not in core or not filtered
