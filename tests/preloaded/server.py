"""The server: import all modules, fork a process for each connection, and run commands in it.

A process runs the commands of its connection one after the other, because most of the time of a
short command in a new process is the copying of its pages. It ends instead, as every other process
of the command does, where a command leaves something behind: a thread, a child process, an open
file, a limit, or another network. The next command then runs in a new process.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bundler
from tests.preloaded.client import LIBRARIES, MAX_REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_COMMANDS = 100  # of one process, so that its memory stays small
_LIMITS = (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
_NAMESPACES = ("user", "mnt", "net")
_UMASK = 0o22


def main() -> None:
    """Serve until the pipe whose reading end is the second argument is closed at its other end."""
    connection = _wait_for_connection(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
    _fork_process_of_commands(connection)
    from bundler.cli.main import main as run_command  # noqa: PLC0415 - as the entry point does

    caches = list(_find_caches())
    left = _Leftovers()
    for number in range(1, _MAX_COMMANDS + 1):
        request, streams, _, _ = socket.recv_fds(connection, MAX_REQUEST, 3)
        if not request:  # the client has closed the connection
            os._exit(0)
        connection.sendall(b"%16d" % os.getpid())
        reusable = _prepare(json.loads(request), streams)
        try:
            run_command()
        except SystemExit as end:
            if not (end.code is None or isinstance(end.code, int)):
                raise
            status = end.code or 0
        if not reusable or number == _MAX_COMMANDS or not _flush_output():
            break
        for cache in caches:
            cache()
        if left.exist():
            break
        _release_streams()
        connection.sendall(b"%15d+" % status)
    _exit_without_clean_up(status)


def _wait_for_connection(listener: socket.socket, alive: int) -> socket.socket:
    """Fork a process for each connection; return in that process."""
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
    return connection


def _fork_process_of_commands(connection: socket.socket) -> None:
    """Return in a new process; this one waits for its end and sends its status."""
    process = os.fork()
    if process:
        status = os.waitpid(process, 0)[1]
        with contextlib.suppress(OSError):  # the client may have ended
            connection.sendall(b"%16d" % status)
        os._exit(0)


def _prepare(request: list[Any], streams: list[int]) -> bool:
    """Set the environment of a command; return whether the process may run further ones."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    program, arguments, environment, directory, process_of = request
    if process_of is not None:
        _enter_namespaces(process_of)
    os.chdir(directory)
    os.environ.clear()  # noqa: TID251 - the environment of the command
    os.environ.update(environment)  # noqa: TID251
    time.tzset()
    os.umask(_UMASK)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [program, *arguments]
    sys.stdin = open(0, errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    return process_of is None


class _Leftovers:
    """The state of the process before its first command, except that of the interpreter."""

    def __init__(self) -> None:
        self._descriptors = _find_descriptors()
        self._state = _read_state()

    def exist(self) -> bool:
        """Return whether a command has left something behind that the next one would see."""
        if threading.active_count() > 1 or _has_children():
            return True
        if _find_descriptors() != self._descriptors:
            gc.collect()
            if _find_descriptors() != self._descriptors:
                return True
        return _read_state() != self._state


def _find_descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _read_state() -> list[object]:
    """Return the limits, the namespaces, and the handlers of all signals except SIGINT.

    Each command replaces that of SIGINT. A command that must not use the network leaves it.
    """
    numbers = sorted(signal.valid_signals() - {signal.SIGINT})
    return [
        *(resource.getrlimit(kind) for kind in _LIMITS),
        *(Path(f"/proc/self/ns/{name}").readlink() for name in _NAMESPACES),
        *(signal.getsignal(number) for number in numbers),
    ]


def _find_caches() -> Iterator[Callable[[], None]]:
    """Yield the functions that clear the caches of the package."""
    modules = [module for name, module in sys.modules.items() if name.startswith("bundler.")]
    for module in modules:
        for value in vars(module).values():
            members = vars(value).values() if isinstance(value, type) else ()
            for item in (value, *members):
                function = getattr(item, "__func__", item)
                if isinstance(function, functools._lru_cache_wrapper):
                    yield function.cache_clear


def _release_streams() -> None:
    """Close the standard streams of a command, so that their readers see the end."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)


def _enter_namespaces(process: int) -> None:
    """Enter the namespaces for users, mounts and networks of another process."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = [name for name in _NAMESPACES if _is_other_namespace(process, name)]
    opened = [os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY) for name in names]
    for descriptor in opened:
        if libc.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), f"cannot enter a namespace of process {process}")
        os.close(descriptor)


def _is_other_namespace(process: int, name: str) -> bool:
    return Path(f"/proc/{process}/ns/{name}").readlink() != Path(f"/proc/self/ns/{name}").readlink()


def _flush_output() -> bool:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return False
    return True


def _exit_without_clean_up(status: int) -> None:
    """End the process as the interpreter does, but without deleting all modules.

    That would copy each page of memory that this process shares with the server.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    if not _flush_output():
        sys.exit(status)  # the interpreter reports it, and chooses the status
    os._exit(status)


if __name__ == "__main__":
    main()
