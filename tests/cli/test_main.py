"""The entry point: list of commands, errors, exit statuses, start-up."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click
import pytest

from bundler.cli import program
from bundler.cli.frontends.native import COMMANDS
from bundler.errors import (
    BundlerError,
    CancelledError,
    DeniedError,
    InvalidSignatureError,
    NotFoundError,
)
from tests.cli.launcher import AIRBUNDLE

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> type[Failing]:
    """A command ``fail`` that raises ``Failing.error``."""
    monkeypatch.setitem(COMMANDS, "fail", ("failing:_fail", "Fail."))
    monkeypatch.setitem(sys.modules, "bundler.cli.commands.failing", sys.modules[__name__])
    return Failing


class Failing:
    """The error that the command ``fail`` raises."""

    error: BaseException = RuntimeError()


@click.command
@click.option("--debug", is_flag=True)
def _fail(*, debug: bool) -> None:
    raise Failing.error


def run_in_process(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exited:
        program.run_program(arguments)
    assert isinstance(exited.value.code, int)
    return exited.value.code


def test_version(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle("--version")
    assert (result.status, result.stdout) == (0, "airbundle 0.1.0\n")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(run_airbundle: RunAirbundle, flag: str) -> None:
    result = run_airbundle(flag)
    assert result.status == 0
    for name, (_, line) in COMMANDS.items():
        assert f"  {name}" in result.stdout
        assert line in result.stdout


@pytest.mark.parametrize(("options", "shown"), [((), False), (("-W", "always"), True)])
def test_warnings_of_libraries_are_shown_on_request(options: tuple[str, ...], shown: bool) -> None:
    """A library may warn about untrusted content, such as an odd certificate."""
    code = (
        "import atexit, warnings; from bundler.cli.main import main;"
        "atexit.register(lambda: warnings.warn('odd')); main(['--version'])"
    )
    result = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, check=True
    )
    assert ("odd" in result.stderr) == shown


def test_missing_command_prints_help_with_status_2(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle()
    assert (result.status, result.stdout) == (2, "")
    assert "Bundles:" in result.stderr


def test_unknown_command_suggests_nearest_command(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle("exprot", "x.yaml")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == ("airbundle: error: unknown command 'exprot'\nhint: airbundle export\n")


def test_unknown_option_is_reported_without_traceback(run_airbundle: RunAirbundle) -> None:
    result = run_airbundle("--nope")
    assert result.status == 2
    assert len(result.stderr.splitlines()) == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BundlerError("a failure"), 1),
        (InvalidSignatureError("a failure", key_id="0"), 4),
        (DeniedError("a failure"), 7),
        (NotFoundError("a failure"), 9),
        (CancelledError("a failure", signal_number=15), 143),
        (KeyboardInterrupt(), 130),
        (FileNotFoundError(2, "a failure", "/some/file"), 5),
        (ConnectionResetError("a failure"), 6),
        (MemoryError(), 1),
        (RecursionError("a failure"), 1),
        (ValueError("a failure"), 1),
    ],
)
def test_exit_status_follows_from_error(
    failing: type[Failing],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
) -> None:
    failing.error = error
    assert run_in_process("fail") == status
    out, err = capsys.readouterr()
    assert out == ""
    assert "airbundle: error: " in err
    assert "Traceback" not in err


def test_missing_library_is_no_internal_error(
    failing: type[Failing], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.error = ModuleNotFoundError("No module named 'cvss'", name="cvss")
    assert run_in_process("fail") == 1
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "airbundle: error: the Python module cvss is not installed"


def test_internal_error_prints_traceback_only_with_debug(
    failing: type[Failing], capsys: pytest.CaptureFixture[str]
) -> None:
    failing.error = ValueError("odd\x1b[2J")
    assert run_in_process("fail") == 1
    first = capsys.readouterr().err
    assert first.startswith("airbundle: error: internal error: ValueError: odd\\x1b[2J\n")
    assert run_in_process("fail", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_broken_pipe_is_silent(hermetic_environment: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [*AIRBUNDLE, "--help"],
            env=hermetic_environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


def test_unwritable_standard_output_is_reported(hermetic_environment: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        result = subprocess.run(
            [*AIRBUNDLE, "--version"],
            env=hermetic_environment,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert result.returncode == 5
    assert b"standard output: cannot write: No space left on device\n" in result.stderr


HEAVY = {"requests", "yaml", "cryptography", "zstandard", "jsonschema", "nacl", "ssl", "hashlib"}


def imported_modules(*arguments: str) -> set[str]:
    """Return the modules that ``airbundle`` has imported when it ends."""
    code = (
        "import atexit, sys\n"
        "from bundler.cli.main import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"main({arguments!r})"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stderr.split())


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_import_no_command(flag: str) -> None:
    imported = imported_modules(flag)
    assert not imported & (HEAVY | {"json", "dataclasses", "pathlib", "bundler.errors"})
    assert not {name for name in imported if name.startswith("bundler.cli.commands")}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_command_imports_no_heavy_modules(name: str) -> None:
    assert not imported_modules(name, "--help") & HEAVY


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_start_quickly(flag: str) -> None:
    """The process takes at most 2.5 times as long as ``import click``."""
    ours, bare = [], []
    for _ in range(5):
        ours.append(_measure_seconds("-m", "bundler.cli.main", flag))
        bare.append(_measure_seconds("-c", "import click"))
    assert statistics.median(ours) <= 2.5 * statistics.median(bare)


def _measure_seconds(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def test_hanging_thread_does_not_delay_exit(
    hermetic_environment: dict[str, str],
) -> None:
    code = (
        "import threading, time\n"
        "from bundler.cli.main import main\n"
        "threading.Thread(target=time.sleep, args=[30]).start()\n"
        "main(['nope'])"
    )
    began = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=hermetic_environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert b"unknown command" in result.stderr
    assert time.monotonic() - began < 10


def test_closed_standard_output_is_accepted(hermetic_environment: dict[str, str]) -> None:
    result = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m bundler.cli.main --version >&-"],
        env=hermetic_environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_completion_lists_commands(run_airbundle: RunAirbundle) -> None:
    variables = {
        "_AIRBUNDLE_COMPLETE": "bash_complete",
        "COMP_WORDS": "airbundle cop",
        "COMP_CWORD": "1",
    }
    assert run_airbundle(env=variables).stdout == "plain,copy\n"


def test_program_writes_no_core_file() -> None:
    """A core file would contain passphrases and tokens."""
    code = (
        "from resource import RLIMIT_CORE, getrlimit, setrlimit;"
        "setrlimit(RLIMIT_CORE, [getrlimit(RLIMIT_CORE)[1]] * 2);"
        "from bundler.cli.frontends.native import NativeFrontend;"
        "NativeFrontend.run = lambda *_: print(getrlimit(RLIMIT_CORE)[0]);"
        "from bundler.cli.main import main; main(['--version'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.stdout == b"0\n"
