"""A long key derivation ends with the command."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.launcher import AIRBUNDLE
from tests.trust.test_keys import PBKDF2, SCRYPT, pkcs8_with_costs

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle

KEYS = {
    "scrypt": pkcs8_with_costs(SCRYPT, 2**20, 8, 4),
    "pbkdf2": pkcs8_with_costs(PBKDF2, 10_000_000),
}


@pytest.fixture(params=KEYS)
def arguments(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "site.key").write_bytes(KEYS[request.param])
    (tmp_path / "p").write_text("correct horse")
    return ("sign", "stick", "--key", "site.key", "--passphrase-file", "p")


def test_command_timeout_ends_key_derivation(
    arguments: tuple[str, ...], run_airbundle: RunAirbundle
):
    result = run_airbundle("--command-timeout", "0.1s", *arguments)
    assert result.status == 1
    assert "not finished within 0.1 s" in result.stderr


def test_interruption_ends_key_derivation(
    tmp_path: Path, arguments: tuple[str, ...], hermetic_environment: dict[str, str]
):
    with subprocess.Popen(
        [*AIRBUNDLE, *arguments], cwd=tmp_path, env=hermetic_environment, stderr=subprocess.PIPE
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not (child := children.read_text().strip()):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert not Path("/proc", child).exists()
