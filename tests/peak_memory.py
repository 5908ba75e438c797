"""Measure the peak memory of code that runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

MIB = 1024 * 1024
_ROOT = Path(__file__).parents[1]

# The peak of a process that only imports what it uses: VmHWM, unlike the figures of getrusage,
# does not include the memory of the parent process.
_EPILOGUE = """
with open("/proc/self/status", encoding="ascii") as status:
    (line,) = [line for line in status if line.startswith("VmHWM:")]
print(line.split()[1])
"""


def measure(code: str, *arguments: object) -> int:
    """Run Python code with ``arguments`` in ``sys.argv``; return its peak memory in bytes.

    The code must not print anything. If it fails, the test fails with its traceback.
    """
    completed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code) + _EPILOGUE, *map(str, arguments)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return int(completed.stdout) * 1024
