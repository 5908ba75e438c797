"""Run the command in processes that are forked from one that has imported its modules.

The imports take most of the time of a short command. A server does them once, and forks a process
for each command. What a command imports by itself is tested in new interpreters elsewhere.

A command whose environment changes the interpreter runs in a new interpreter, too.

A request to the server is the name of the program, the arguments, the environment, the working
directory, and a process whose network and mounts the command shares (null: those of the server),
as JSON, with the standard streams. The answers are the process ID and the status of the command.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
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
_CLIENT = """#!{python} -IS
import json, os, socket, sys
request = json.dumps([sys.argv[0], sys.argv[1:], dict(os.environ), os.getcwd(), None]).encode()
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, {size})
    server.connect({address!r})
    socket.send_fds(server, [request], [0, 1, 2])
    server.recv(16)
    status = os.waitstatus_to_exitcode(int(server.recv(16)))
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
    pipes = [os.pipe() for _ in range(3)]
    (input_end, to_stdin), (stdout, stdout_end), (stderr, stderr_end) = pipes
    given = (input_end, stdout_end, stderr_end)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _MAX_REQUEST)
    server.connect(_start_server())
    socket.send_fds(server, [request], given)
    for descriptor in given:
        os.close(descriptor)
    with server, os.fdopen(to_stdin, "wb") as pipe:
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
        status = os.waitstatus_to_exitcode(int(server.recv(16)))
    return subprocess.CompletedProcess([*arguments], status, *texts)


def install_client(path: Path) -> None:
    """Write an executable file that runs the command; its name selects the front end.

    A signal ends the client, not the command.
    """
    text = _CLIENT.format(python=sys.executable, size=2 * _MAX_REQUEST, address=_start_server())
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
            [sys.executable, "-m", "tests.preloaded", str(listener.fileno()), str(alive)],
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


def _serve(listener: socket.socket, alive: int) -> None:
    """Fork a process for each connection; return in that process, which is to run the command.

    The server ends when ``alive``, the end of a pipe, is closed at its other end.
    """
    modules = [item.name for item in pkgutil.walk_packages(bundler.__path__, "bundler.")]
    for name in (*LIBRARIES, *modules):
        importlib.import_module(name)
    gc.freeze()  # the collector of a child would copy all pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, alive], [], [])
        if alive in ready:
            os._exit(0)
        connection = listener.accept()[0]
        if os.fork() == 0:
            break
        connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    listener.close()
    os.close(alive)
    with connection:
        request, streams, _, _ = socket.recv_fds(connection, _MAX_REQUEST, 3)
        process = os.fork()
        if process:
            for descriptor in streams:
                os.close(descriptor)
            connection.sendall(b"%16d" % process)
            connection.sendall(b"%16d" % os.waitpid(process, 0)[1])
            os._exit(0)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    program, arguments, environment, directory, process_of = json.loads(request)
    if process_of is not None:
        _enter_namespaces(process_of)
    os.chdir(directory)
    os.environ.clear()  # noqa: TID251 - the environment of the command
    os.environ.update(environment)  # noqa: TID251
    time.tzset()
    sys.argv = [program, *arguments]
    sys.stdin = open(0, errors="surrogateescape")  # noqa: SIM115 - for the whole process
    sys.stdout = open(1, "w", errors="surrogateescape")  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace")  # noqa: SIM115


def _enter_namespaces(process: int) -> None:
    """Enter the namespaces for users, mounts and networks of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = [name for name in ("user", "mnt", "net") if _is_other_namespace(process, name)]
    opened = [os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY) for name in names]
    for descriptor in opened:
        if libc.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"cannot enter a namespace of process {process}")
        os.close(descriptor)


def _is_other_namespace(process: int, name: str) -> bool:
    return Path(f"/proc/{process}/ns/{name}").readlink() != Path(f"/proc/self/ns/{name}").readlink()


def _exit_without_clean_up(status: int) -> None:
    """End the process as the interpreter does, but without deleting all modules.

    That would copy each page of memory that this process shares with the server.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # the interpreter reports it, and chooses the status
    os._exit(status)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
    from bundler.cli.main import main

    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            _exit_without_clean_up(end.code or 0)
        raise
