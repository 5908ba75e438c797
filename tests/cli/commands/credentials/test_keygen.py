"""``airbundle keygen``."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.cli.launcher import AIRBUNDLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ed25519"])
def test_keygen_writes_key_pair_and_reports_fingerprint(
    tmp_path: Path, run_airbundle: RunAirbundle, kind: str
):
    result = run_airbundle("keygen", "site", "--no-passphrase", "--type", kind, "--json")
    assert result.status == 0, result.stderr
    value = json.loads(result.stdout)
    private = keys.parse_private_key(keys.read_key_file(tmp_path / "site.key"), None, "key")
    assert private.public == keys.read_public_key(tmp_path / "site.pub")
    assert value["fingerprint"] == private.public.fingerprint
    assert value["algorithm"] == kind


def test_passphrase_is_first_line_of_passphrase_file(tmp_path: Path, run_airbundle: RunAirbundle):
    (tmp_path / "p").write_text("correct horse\r\nnot this\n")
    result = run_airbundle("keygen", "site", "--passphrase-file", "p")
    assert result.status == 0, result.stderr
    assert "ENCRYPTED SIGSTORE PRIVATE KEY" in (tmp_path / "site.key").read_text()
    assert keys.parse_private_key(
        keys.read_key_file(tmp_path / "site.key"), b"correct horse", "key"
    )


@pytest.mark.parametrize("command", ["keygen site", "generate-sigstore-key --output-prefix site"])
@pytest.mark.parametrize(("passphrase", "warned"), [("x", True), ("correct horse", False)])
def test_short_passphrase_causes_a_warning(
    tmp_path: Path, run_airbundle: RunAirbundle, command: str, passphrase: str, warned: bool
):
    (tmp_path / "p").write_text(passphrase)
    result = run_airbundle(*command.split(), "--passphrase-file", "p")
    assert result.status == 0
    assert ("warning: the passphrase" in result.stderr) == warned
    assert (tmp_path / "site.pub").exists()


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 2),
        (("--passphrase-file", "absent"), 2),
        (("--passphrase-file", "empty"), 2),
        (("--passphrase-file", "p", "--no-passphrase"), 2),
    ],
)
def test_keygen_refuses_missing_empty_or_contradictory_passphrase(
    tmp_path: Path, run_airbundle: RunAirbundle, arguments, status
):
    (tmp_path / "p").write_text("x")
    (tmp_path / "empty").write_text("\nx\n")
    result = run_airbundle("keygen", "site", *arguments)
    assert result.status == status
    assert not list(tmp_path.glob("site*"))


def test_keygen_without_terminal_suggests_passphrase_options(run_airbundle: RunAirbundle):
    result = run_airbundle("keygen", "site", stdin="secret\nsecret\n")
    assert "--passphrase-file FILE" in result.stderr
    assert "--no-passphrase" in result.stderr


def test_keygen_does_not_overwrite_existing_key(tmp_path: Path, run_airbundle: RunAirbundle):
    (tmp_path / "site.pub").write_text("precious")
    assert run_airbundle("keygen", "site", "--no-passphrase").status == 10
    assert (tmp_path / "site.pub").read_text() == "precious"
    assert not (tmp_path / "site.key").exists()


@pytest.mark.parametrize(("second", "status"), [("correct horse", 0), ("other", None)])
def test_keygen_prompts_twice_on_terminal_without_echo(
    tmp_path: Path, hermetic_environment: dict[str, str], second: str, status: int | None
):
    controller, program_side = pty.openpty()
    process = subprocess.Popen(
        [*AIRBUNDLE, "keygen", "site"],
        stdin=program_side,
        stdout=program_side,
        stderr=program_side,
        cwd=tmp_path,
        env=hermetic_environment,
        start_new_session=True,
    )
    os.close(program_side)
    shown = b""
    try:
        for answer in ("correct horse", second):
            shown += _until(controller, b": ")
            os.write(controller, f"{answer}\n".encode())
        if status is None:
            shown += _until(controller, b"Error")
            process.kill()
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(controller)
    assert b"horse" not in shown
    if status is None:
        assert not (tmp_path / "site.key").exists()
    else:
        assert process.returncode == status
        assert keys.parse_private_key(
            keys.read_key_file(tmp_path / "site.key"), b"correct horse", "key"
        )


def _until(terminal: int, text: bytes) -> bytes:
    shown = b""
    while text not in shown:
        shown += os.read(terminal, 1024)
    return shown
