"""Commands and a real ssh-agent as signers; openssl verifies their signatures."""

from __future__ import annotations

import shlex
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError, ConfigError, SignerError, UnsupportedError, UsageError
from bundler.trust import keys
from bundler.trust.private_keys import ssh_agent
from bundler.trust.private_keys.signers import CommandSigner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = b'{"_type":"airbundle/bundle/v1"}\n' * 100
KEY, OTHER = keys.generate_key(), keys.generate_key()


def create_signer(command: str, public=KEY.public, **more) -> CommandSigner:
    return CommandSigner(public, command, Cancellation(), **more)


def create_python(code: str) -> str:
    return shlex.join([sys.executable, "-c", code])


def verify_with_openssl(directory: Path, public: keys.PublicKey, signature: bytes) -> str:
    (directory / "data").write_bytes(DATA)
    (directory / "signature").write_bytes(signature)
    (directory / "public").write_bytes(public.to_pem())
    command = "openssl dgst -sha256 -verify public -signature signature data"
    return subprocess.run(
        command.split(), cwd=directory, capture_output=True, text=True, check=False
    ).stdout.strip()


@pytest.fixture
def private(tmp_path: Path) -> Path:
    return keys.write_key_pair(tmp_path / "site", KEY, None)[0]


def test_command_signs_its_standard_input(tmp_path: Path, private: Path):
    signature = create_signer(f"openssl dgst -sha256 -sign {private}").sign(DATA)
    assert verify_with_openssl(tmp_path, KEY.public, signature) == "Verified OK"


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import sys; sys.exit(3)", "command"),
        ("", "signature"),
        ("print('not a signature')", "signature"),
        ("import sys; sys.stdout.write('x' * 10**6)", "command"),
    ],
    ids=["fails", "empty", "garbage", "endless"],
)
def test_command_without_a_valid_signature_is_an_error(code: str, cause: str):
    with pytest.raises(SignerError) as raised:
        create_signer(create_python(code)).sign(DATA)
    assert raised.value.cause == cause


def test_signature_of_the_command_by_another_key_is_refused(private: Path):
    command = f"openssl dgst -sha256 -sign {private}"
    with pytest.raises(SignerError) as raised:
        create_signer(command, OTHER.public).sign(DATA)
    assert raised.value.cause == "signature"


def test_command_that_does_not_end_is_killed():
    begun = time.monotonic()
    with pytest.raises(SignerError) as raised:
        create_signer(create_python("import time; time.sleep(60)"), timeout=0.5).sign(DATA)
    assert raised.value.cause == "command"
    assert time.monotonic() - begun < 10


def test_cancellation_ends_the_command():
    cancellation = Cancellation()
    threading.Timer(0.3, cancellation.request).start()
    with pytest.raises(CancelledError):
        CommandSigner(KEY.public, create_python("import time; time.sleep(60)"), cancellation).sign(
            DATA
        )


@pytest.mark.parametrize("command", ["", "openssl 'dgst"])
def test_malformed_command_is_a_usage_error(command: str):
    with pytest.raises(UsageError):
        create_signer(command).sign(DATA)


@pytest.mark.parametrize("command", ["sh -c 'exit 1' 8527", "'sh 8527", "/nonexistent/sign 8527"])
def test_messages_do_not_contain_arguments_of_the_command(command: str):
    """They may contain the PIN of a token."""
    with pytest.raises((SignerError, UsageError)) as raised:
        create_signer(command).sign(DATA)
    assert "8527" not in f"{raised.value} {raised.value.hint}"
    assert "8527" not in repr(create_signer(command))


def test_failure_of_a_command_shows_the_end_of_its_errors_without_its_arguments():
    code = (
        "import sys; sys.stderr.write('x' * 100_000);"
        "sys.stderr.write('\\n\\x1b[2JCKR_' + 'MECHANISM_INVALID ' + sys.argv[1]); sys.exit(1)"
    )
    with pytest.raises(SignerError) as raised:
        create_signer(f"{create_python(code)} 85271").sign(DATA)
    assert "CKR_MECHANISM_INVALID" in raised.value.errors
    assert raised.value.errors in str(raised.value)
    assert len(raised.value.errors) < 500
    for text in ("85271", "\x1b", "\n"):
        assert text not in str(raised.value)


def test_missing_command_is_an_error():
    with pytest.raises(SignerError):
        create_signer("/nonexistent/sign").sign(DATA)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """A real ssh-agent with a new ECDSA key, ``id`` and ``id.pub``."""
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        command = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f"]
        subprocess.run([*command, tmp_path / "id"], check=True)
        deadline = time.monotonic() + 10
        while not (tmp_path / "agent").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        add = ["ssh-add", "-q", tmp_path / "id"]
        subprocess.run(add, env={"SSH_AUTH_SOCK": path}, check=True)
        yield path
    finally:
        process.terminate()
        process.wait()


def create_agent_signer(path: Path, agent: str, **more) -> ssh_agent.AgentSigner:
    public = ssh_agent.read_public_key(path)
    blob = ssh_agent.encode_public_key(public)
    return ssh_agent.AgentSigner(public, blob, agent, Cancellation(), **more)


def test_signature_of_an_ssh_agent_verifies_with_openssl(tmp_path: Path, agent: str):
    signer = create_agent_signer(tmp_path / "id.pub", agent)
    for _ in range(20):  # the numbers of a signature have different lengths
        signature = signer.sign(DATA)
        signer.public.verify(signature, DATA)
    assert verify_with_openssl(tmp_path, signer.public, signature) == "Verified OK"


def test_key_that_the_agent_does_not_have_is_an_error(tmp_path: Path, agent: str, private: Path):
    with pytest.raises(SignerError) as raised:
        create_agent_signer(private.with_suffix(".pub"), agent).sign(DATA)
    assert raised.value.cause == "refused"


def test_data_that_is_too_large_for_an_agent_is_an_error(tmp_path: Path, agent: str):
    signer = create_agent_signer(tmp_path / "id.pub", agent)
    largest = ssh_agent.MAX_MESSAGE - len(signer.blob) - 17
    signer.public.verify(signer.sign(bytes(largest)), bytes(largest))
    with pytest.raises(SignerError) as raised:
        signer.sign(bytes(largest + 1))
    assert raised.value.cause == "size"


def test_agent_that_does_not_exist_is_an_error(tmp_path: Path, private: Path):
    signer = create_agent_signer(private.with_suffix(".pub"), str(tmp_path / "absent"))
    with pytest.raises(SignerError) as raised:
        signer.sign(DATA)
    assert raised.value.cause == "agent"


def encode(*strings: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(string)) + string for string in strings)


@pytest.mark.parametrize(
    ("response", "cause"),
    [
        (b"", "agent"),
        (struct.pack(">I", 0), "agent"),
        (struct.pack(">I", 2**31), "agent"),
        (encode(b"\x05"), "refused"),
        (encode(b"\x0e"), "signature"),
        (encode(b"\x0e" + encode(encode(b"ssh-rsa", b"x"))), "signature"),
        (encode(b"\x0e" + encode(encode(ssh_agent.KEY_TYPE, encode(b"\1", b"\1")))), "signature"),
        (encode(b"\x0e" + encode(encode(ssh_agent.KEY_TYPE, b"\xff\xff\xff\xff"))), "signature"),
        (None, "agent"),
    ],
    ids=["closed", "empty", "huge", "failure", "no-body", "type", "forged", "length", "silent"],
)
def test_bad_response_of_an_agent_is_an_error(
    tmp_path: Path, private: Path, response: bytes | None, cause: str
):
    path = str(tmp_path / "agent")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 20)
                if response is None:
                    time.sleep(1)
                else:
                    connection.sendall(response)

        thread = threading.Thread(target=answer)
        thread.start()
        signer = create_agent_signer(private.with_suffix(".pub"), path, timeout=0.5)
        with pytest.raises(SignerError) as raised:
            signer.sign(DATA)
        thread.join()
    assert raised.value.cause == cause


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa -b 384", "rsa -b 2048"])
def test_agent_key_of_another_type_is_refused(tmp_path: Path, kind: str):
    command = f"ssh-keygen -q -t {kind} -N ''"
    subprocess.run([*shlex.split(command), "-f", tmp_path / "id"], check=True)
    with pytest.raises((ConfigError, UnsupportedError)):
        ssh_agent.read_public_key(tmp_path / "id.pub")
