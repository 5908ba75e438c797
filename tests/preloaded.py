"""Run the command in processes that are forked from one that has imported its modules.

The imports take most of the time of a short command. A server does them once, and forks a process
for each command. What a command imports by itself is tested in new interpreters elsewhere.

A command whose environment changes the interpreter runs in a new interpreter, too.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bundler

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIBRARIES = ("jsonschema", "re2", "requests", "yaml")
_CHECKOUT = Path(__file__).parents[1]
_LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
_OWN_INTERPRETER = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC", "OPENSSL")
_MAX_INPUT = 32 * 1024  # fits into a pipe
_MAX_REQUEST = 1024 * 1024


def run(
    arguments: Sequence[str],
    *,
    stdin: str = "",
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run ``airbundle`` with ``arguments``, as ``subprocess.run`` with captured text does.

    Raises:
        subprocess.TimeoutExpired: the command was killed after ``timeout`` seconds.
    """
    request = json.dumps([[*arguments], dict(env), str(cwd or Path.cwd())]).encode()
    if len(stdin) > _MAX_INPUT or len(request) > _MAX_REQUEST or not _is_plain(env):
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
    ours, theirs = socket.socketpair()
    pipes = [os.pipe() for _ in range(3)]
    (input_end, to_stdin), (stdout, stdout_end), (stderr, stderr_end) = pipes
    given = (theirs.fileno(), input_end, stdout_end, stderr_end)
    socket.send_fds(_start_server()[0], [request], given)
    theirs.close()
    for descriptor in given[1:]:
        os.close(descriptor)
    with ours, os.fdopen(to_stdin, "wb") as pipe:
        process = int(ours.recv(16))
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
        status = os.waitstatus_to_exitcode(int(ours.recv(16)))
    return subprocess.CompletedProcess([*arguments], status, *texts)


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


@functools.cache
def _start_server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the server of this test process, which ends with it; return its socket first."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _MAX_REQUEST)
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.preloaded", str(theirs.fileno())],
            cwd=_CHECKOUT,
            env={"PATH": os.defpath, **_LOCALE},
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    atexit.register(server.wait)
    atexit.register(ours.close)
    return ours, server


def _serve(control: socket.socket) -> None:
    """Fork a process for each request; return in that process, which is to run the command."""
    modules = [item.name for item in pkgutil.walk_packages(bundler.__path__, "bundler.")]
    for name in (*LIBRARIES, *modules):
        importlib.import_module(name)
    gc.freeze()  # the collector of a child would copy all pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, given, _, _ = socket.recv_fds(control, _MAX_REQUEST, 4)
        if not request:
            os._exit(0)
        if os.fork() == 0:
            break
        for descriptor in given:
            os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    with socket.socket(fileno=given[0]) as answer:
        process = os.fork()
        if process:
            for descriptor in given[1:]:
                os.close(descriptor)
            answer.sendall(b"%16d" % process)
            answer.sendall(b"%16d" % os.waitpid(process, 0)[1])
            os._exit(0)
    for number, descriptor in enumerate(given[1:]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    arguments, environment, directory = json.loads(request)
    os.chdir(directory)
    os.environ.clear()  # noqa: TID251 - the environment of the command
    os.environ.update(environment)  # noqa: TID251
    time.tzset()
    sys.argv = ["airbundle", *arguments]
    sys.stdin = open(0, errors="surrogateescape")  # noqa: SIM115 - for the whole process
    sys.stdout = open(1, "w", errors="surrogateescape")  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace")  # noqa: SIM115


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from bundler.cli.main import main

    main()
