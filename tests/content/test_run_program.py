"""Programs run with limits of output and time, and end with the run."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from bundler.cancel import Cancellation
from bundler.content.run_program import Pipe, run_program
from bundler.errors import CancelledError, LimitError


def python(code, *arguments, data=b"", cancellation=None, **options):
    return run_program(
        [sys.executable, "-c", code, *arguments],
        data,
        cancellation or Cancellation(),
        **{"max_output": 10**6, "timeout": 30} | options,
    )


def test_output_and_status_are_returned():
    result = python("import sys; print(sys.stdin.read().upper(), end=''); sys.exit(3)", data=b"abc")
    assert (result.output, result.status) == (b"ABC", 3)


def test_large_input_and_output_are_exchanged_at_the_same_time():
    data = os.urandom(900_000)
    code = "import sys, shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer, 100)"
    assert python(code, data=data).output == data


def test_pipes_replace_arguments():
    secret, status = Pipe(b"secret\n"), Pipe()
    code = (
        "import os, sys; a, b = map(int, sys.argv[1:]);"
        "os.write(b, os.read(a, 100).upper()); os.write(1, b'out')"
    )
    result = python(code, secret, status)
    assert result.written == {status: b"SECRET\n"}
    assert result.output == b"out"


def test_end_of_the_errors_is_returned_on_request():
    code = "import sys; sys.stderr.write('x' * 3_000_000 + 'end')"
    assert python(code, errors_size=5).errors == b"xxend"
    assert python(code).errors == b""


def test_program_may_ignore_its_input():
    assert python("pass", data=bytes(900_000)).status == 0


def test_environment_is_replaced(monkeypatch):
    code = "import os; print(os.environ.get('SECRET'), os.environ.get('A'))"
    monkeypatch.setenv("SECRET", "x")
    assert python(code, environment={"A": "b"}).output == b"None b\n"


def test_output_is_limited():
    with pytest.raises(LimitError, match="too large"):
        python("while True: print('x' * 1000)", max_output=10_000)


def test_output_of_a_pipe_is_limited():
    code = "import os, sys\nwhile True: os.write(int(sys.argv[1]), b'x' * 1000)"
    with pytest.raises(LimitError, match="too large"):
        python(code, Pipe(), max_output=10_000)


@pytest.mark.parametrize(
    "code", ["import time; time.sleep(60)", "import os, time; os.close(1); time.sleep(60)"]
)
def test_time_is_limited(code):
    start = time.monotonic()
    with pytest.raises(LimitError, match="not finished"):
        python(code, timeout=0.5)
    assert time.monotonic() - start < 10


def test_missing_program_is_an_error_of_the_system():
    with pytest.raises(FileNotFoundError):
        run_program(["/missing/program"], b"", Cancellation(), max_output=1)


def test_cancellation_kills_the_program_and_its_children(tmp_path):
    cancellation = Cancellation()
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time; from pathlib import Path;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"part = Path({str(pids)!r} + '.part'); part.write_text(f'{{os.getpid()}} {{child.pid}}');"
        "part.rename(part.with_suffix('')); time.sleep(60)"
    )

    def cancel():
        while not pids.exists():
            time.sleep(0.01)
        cancellation.request()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CancelledError):
        python(code, cancellation=cancellation)
    thread.join()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_no_descriptor_remains_open():
    before = {item.name for item in Path("/proc/self/fd").iterdir()}
    python("pass", Pipe(b"x"), Pipe())
    with pytest.raises(LimitError):
        python("print('x' * 100)", max_output=10)
    assert {item.name for item in Path("/proc/self/fd").iterdir()} == before


def test_programs_left_behind_are_killed():
    code = (
        "import subprocess, sys;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " stdout=subprocess.DEVNULL);"
        "print(child.pid); sys.exit(3)"
    )
    result = python(code)
    assert result.status == 3
    status = Path(f"/proc/{int(result.output)}/stat")
    deadline = time.monotonic() + 10
    while status.exists() and ") Z " not in status.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
