"""Run a command in a process that the server has prepared; the first command starts the server.

A command whose environment changes the interpreter runs in a new interpreter.

A request is the name of the program, the arguments, the environment, the working directory, and a
process whose network and mounts the command shares (null: those of the server), as JSON, with the
standard streams. The answers are the process ID and the status of the command. A status with a plus
sign after it means that the process waits for the next request; without it, it has ended.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIBRARIES = ("jsonschema", "re2", "requests", "yaml")
MAX_REQUEST = 1024 * 1024
_CHECKOUT = Path(__file__).parents[2]
_LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
_OWN_INTERPRETER = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC", "OPENSSL")
_MAX_INPUT = 32 * 1024  # fits into a pipe
_CLIENT = """#!{python} -IS
import json, os, socket, sys
request = json.dumps([sys.argv[0], sys.argv[1:], dict(os.environ), os.getcwd(), None]).encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, {size})
    server.connect({address!r})
    socket.send_fds(server, [request], [0, 1, 2])
    server.recv(16)
    answer = server.recv(16)
status = int(answer[:-1]) if answer.endswith(b"+") else os.waitstatus_to_exitcode(int(answer))
sys.exit(128 - status if status < 0 else status)
"""


def run(
    arguments: Sequence[str],
    *,
    stdin: str = "",
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float = 120,
    process_of: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``airbundle`` with ``arguments``, as ``subprocess.run`` with captured text does.

    With ``process_of``, it runs in the network and with the mounts of that process.

    Raises:
        subprocess.TimeoutExpired: the command was killed after ``timeout`` seconds.
    """
    values = ["airbundle", [*arguments], dict(env), str(cwd or Path.cwd()), process_of]
    request = json.dumps(values).encode()
    if len(stdin) > _MAX_INPUT or len(request) > MAX_REQUEST or not _is_plain(env):
        return subprocess.run(
            [sys.executable, "-m", "bundler.cli.main", *arguments],
            input=stdin,
            env=dict(env),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    pipes = [os.pipe() for _ in range(3)]
    (input_end, to_stdin), (stdout, stdout_end), (stderr, stderr_end) = pipes
    given = (input_end, stdout_end, stderr_end)
    server = _idle.pop() if _idle else _connect()
    socket.send_fds(server, [request], given)
    for descriptor in given:
        os.close(descriptor)
    try:
        with os.fdopen(to_stdin, "wb") as pipe:
            process = int(server.recv(16))
            try:
                pipe.write(stdin.encode())
                pipe.close()
            except BrokenPipeError:
                pass
            try:
                texts = _read_all((stdout, stderr), time.monotonic() + timeout)
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        answer = server.recv(16)
    except BaseException:
        server.close()
        raise
    if answer.endswith(b"+"):
        _idle.append(server)
        status = int(answer[:-1])
    else:
        server.close()
        status = os.waitstatus_to_exitcode(int(answer))
    return subprocess.CompletedProcess([*arguments], status, *texts)


def install_client(path: Path) -> None:
    """Write an executable file that runs the command; its name selects the front end.

    A signal ends the client, not the command.
    """
    text = _CLIENT.format(python=sys.executable, size=2 * MAX_REQUEST, address=_start_server())
    path.write_text(text)
    path.chmod(0o755)


def _is_plain(env: Mapping[str, str]) -> bool:
    """Return whether ``env`` has the locale of the server, and does not change the interpreter."""
    return not any(
        name.startswith(_OWN_INTERPRETER) and name != "PYTHONPATH" and _LOCALE.get(name) != value
        for name, value in env.items()
    )


def _read_all(pipes: tuple[int, int], deadline: float) -> list[str]:
    texts = {pipe: bytearray() for pipe in pipes}
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        try:
            while selector.get_map():
                ready = selector.select(deadline - time.monotonic())
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    texts[key.fd] += data
                    if not data:
                        selector.unregister(key.fd)
        finally:
            for pipe in pipes:
                os.close(pipe)
    return [text.decode().replace("\r\n", "\n") for text in texts.values()]


_idle: list[socket.socket] = []
"""Connections to processes that wait for a command."""


def _connect() -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MAX_REQUEST)
    server.connect(_start_server())
    return server


@functools.cache
def _start_server() -> str:
    """Start the server of this test process, which ends with it; return its address."""
    directory = tempfile.TemporaryDirectory(prefix="airbundle-preloaded-")
    address = f"{directory.name}/socket"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen(64)
    alive, ours = os.pipe()
    with listener:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded.server", str(listener.fileno()), str(alive)],
            cwd=_CHECKOUT,
            env={"PATH": os.defpath, **_LOCALE},
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno(), alive],
            start_new_session=True,
        )
    os.close(alive)
    atexit.register(directory.cleanup)
    atexit.register(server.wait)
    atexit.register(os.close, ours)
    return address
