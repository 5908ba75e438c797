from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ed25519"])
def test_a_pair_and_its_fingerprint(tmp_path: Path, run_airbundle: RunAirbundle, kind: str):
    done = run_airbundle("keygen", "site", "--no-passphrase", "--type", kind, "--json")
    assert done.status == 0, done.stderr
    value = json.loads(done.stdout)
    private = keys.parse_private_key(keys.read_key_file(tmp_path / "site.key"), None, "key")
    assert private.public == keys.read_public_key(tmp_path / "site.pub")
    assert value["fingerprint"] == private.public.fingerprint
    assert value["algorithm"] == kind


def test_the_first_line_of_a_file_is_the_passphrase(tmp_path: Path, run_airbundle: RunAirbundle):
    (tmp_path / "p").write_text("correct horse\r\nnot this\n")
    done = run_airbundle("keygen", "site", "--passphrase-file", "p")
    assert done.status == 0, done.stderr
    assert "ENCRYPTED SIGSTORE PRIVATE KEY" in (tmp_path / "site.key").read_text()
    assert keys.parse_private_key(
        keys.read_key_file(tmp_path / "site.key"), b"correct horse", "key"
    )


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 2),
        (("--passphrase-file", "absent"), 2),
        (("--passphrase-file", "empty"), 2),
        (("--passphrase-file", "p", "--no-passphrase"), 2),
    ],
)
def test_without_a_passphrase_or_a_word_about_it_no_key_is_made(
    tmp_path: Path, run_airbundle: RunAirbundle, arguments, status
):
    (tmp_path / "p").write_text("x")
    (tmp_path / "empty").write_text("\nx\n")
    done = run_airbundle("keygen", "site", *arguments)
    assert done.status == status
    assert not list(tmp_path.glob("site*"))


def test_a_pipe_is_told_what_to_give_instead(run_airbundle: RunAirbundle):
    done = run_airbundle("keygen", "site", stdin="secret\nsecret\n")
    assert "--passphrase-file FILE" in done.stderr
    assert "--no-passphrase" in done.stderr


def test_an_existing_key_stays(tmp_path: Path, run_airbundle: RunAirbundle):
    (tmp_path / "site.pub").write_text("precious")
    assert run_airbundle("keygen", "site", "--no-passphrase").status == 10
    assert (tmp_path / "site.pub").read_text() == "precious"
    assert not (tmp_path / "site.key").exists()


@pytest.mark.parametrize(("second", "status"), [("correct horse", 0), ("other", None)])
def test_on_a_terminal_the_passphrase_is_asked_for_twice_and_not_shown(
    tmp_path: Path, hermetic_environment: dict[str, str], second: str, status: int | None
):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bundler.cli.main", "keygen", "site"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env=hermetic_environment,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        for answer in ("correct horse", second):
            shown += _until(ours, b": ")
            os.write(ours, f"{answer}\n".encode())
        if status is None:
            shown += _until(ours, b"Error")
            process.kill()
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
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
