"""The frame of the command line: the list of commands, errors, exit statuses."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click
import pytest

from bundler.cli import main as program
from bundler.cli.frontends.native.commands import COMMANDS
from bundler.errors import (
    BundlerError,
    CancelledError,
    DeniedError,
    InvalidSignatureError,
    NotFoundError,
)

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    """A command ``fail`` that raises what the test likes."""
    monkeypatch.setitem(COMMANDS, "fail", (f"{__name__}:_fail", "Fail."))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    return Failing


class Failing:
    error: BaseException = RuntimeError()


@click.command
@click.option("--debug", is_flag=True)
def _fail(*, debug: bool) -> None:
    raise Failing.error


def run_here(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        program.main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def test_the_version(run_airbundle: RunAirbundle) -> None:
    outcome = run_airbundle("--version")
    assert (outcome.status, outcome.stdout) == (0, "airbundle 0.1.0\n")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(run_airbundle: RunAirbundle, flag: str) -> None:
    outcome = run_airbundle(flag)
    assert outcome.status == 0
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in outcome.stdout
        assert line in outcome.stdout


def test_no_command_shows_the_help_and_is_a_mistake(run_airbundle: RunAirbundle) -> None:
    outcome = run_airbundle()
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "Bundles:" in outcome.stderr


def test_an_unknown_command_is_answered_with_the_nearest(run_airbundle: RunAirbundle) -> None:
    outcome = run_airbundle("exprot", "x.yaml")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert outcome.stderr == (
        "airbundle: error: there is no command 'exprot'\nhint: did you mean 'export'?\n"
    )


def test_an_unknown_option_is_one_calm_line(run_airbundle: RunAirbundle) -> None:
    outcome = run_airbundle("--nope")
    assert outcome.status == 2
    assert len(outcome.stderr.splitlines()) == 2
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BundlerError("it broke"), 1),
        (InvalidSignatureError("it broke"), 4),
        (DeniedError("it broke"), 7),
        (NotFoundError("it broke"), 9),
        (CancelledError("it broke", signal_number=15), 143),
        (KeyboardInterrupt(), 130),
        (FileNotFoundError(2, "it broke", "/some/file"), 5),
        (ConnectionResetError("it broke"), 6),
        (MemoryError(), 1),
        (RecursionError("it broke"), 1),
        (ValueError("it broke"), 1),
    ],
)
def test_every_error_has_its_exit_status(
    failing: type[Failing],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
) -> None:
    failing.error = error
    assert run_here("fail") == status
    out, err = capsys.readouterr()
    assert out == ""
    assert "airbundle: error: " in err
    assert "Traceback" not in err


def test_an_error_of_ours_is_explained_and_a_traceback_is_for_debug_only(
    failing: type[Failing], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.error = ValueError("odd\x1b[2J")
    assert run_here("fail") == 1
    first = capsys.readouterr().err
    assert first.startswith("airbundle: error: internal error: ValueError: odd\\x1b[2J\n")
    assert run_here("fail", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(hermetic_environment: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bundler.cli.main", "--help"],
            env=hermetic_environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_output_that_cannot_be_written_is_an_error(hermetic_environment: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "bundler.cli.main", "--version"],
            env=hermetic_environment,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert done.returncode == 5
    assert b"the standard output cannot be written: No space left on device\n" in done.stderr


HEAVY = {"requests", "yaml", "cryptography", "zstandard", "jsonschema", "nacl", "ssl", "hashlib"}


def loaded_by(*arguments: str) -> set[str]:
    """The modules that ``airbundle`` has imported when it ends."""
    code = (
        "import atexit, sys\n"
        "from bundler.cli.main import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"main({arguments!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_import_no_command(flag: str) -> None:
    commands = {target.partition(":")[0] for target, _ in COMMANDS.values()}
    assert not loaded_by(flag) & (commands | HEAVY | {"json", "dataclasses"})


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_nothing_that_only_work_needs(name: str) -> None:
    assert not loaded_by(name, "--help") & HEAVY


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_is_quick(flag: str) -> None:
    """Whole processes, side by side, take at most 2.5 times as long as ``import click``."""
    ours, bare = [], []
    for _ in range(5):
        ours.append(_seconds("-m", "bundler.cli.main", flag))
        bare.append(_seconds("-c", "import click"))
    assert statistics.median(ours) <= 2.5 * statistics.median(bare)


def _seconds(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def test_a_thread_that_hangs_does_not_hold_up_a_failure(
    hermetic_environment: dict[str, str],
) -> None:
    code = (
        "import threading, time\n"
        "from bundler.cli.main import main\n"
        "threading.Thread(target=time.sleep, args=[30]).start()\n"
        "main(['nope'])"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=hermetic_environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert b"there is no command" in done.stderr
    assert time.monotonic() - began < 10


def test_a_closed_output_is_an_empty_one(hermetic_environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m bundler.cli.main --version >&-"],
        env=hermetic_environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_shells_can_ask_for_the_commands(run_airbundle: RunAirbundle) -> None:
    asked = {
        "_AIRBUNDLE_COMPLETE": "bash_complete",
        "COMP_WORDS": "airbundle cop",
        "COMP_CWORD": "1",
    }
    assert run_airbundle(env=asked).stdout == "plain,copy\n"
