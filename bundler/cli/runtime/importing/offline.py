"""Make network access impossible for a command, and for the programs that it starts.

Two means are used: every attempt of this process to create, connect or resolve is refused by an
audit hook, and the process moves to a network namespace without interfaces, where the kernel and
the user's rights permit that.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bundler.errors import OfflineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_REFUSED = frozenset(
    {
        "socket.__new__",
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendmsg",
        "socket.sendto",
    }
)


class _Guard:
    """An audit hook, which cannot be removed, and is switched instead."""

    installed = False
    active = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active or event not in _REFUSED:
            return
        # A pair of sockets connects this process with one that it starts.
        if event == "socket.__new__" and arguments[1] == socket.AF_UNIX:
            return
        if event == "socket.sendmsg" and arguments[0].family == socket.AF_UNIX:
            return
        raise OfflineError(event)


_guard = _Guard()


@contextmanager
def refuse_sockets() -> Iterator[None]:
    """Refuse sockets in this process during the block."""
    if not _guard.installed:
        sys.addaudithook(_guard)
        _guard.installed = True
    _guard.active = True
    try:
        yield
    finally:
        _guard.active = False


def leave_network() -> bool:
    """Move this process to a network namespace of its own; return whether that is permitted.

    Call it before the first thread is started: a namespace belongs to a thread.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) == 0:
        return True
    if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    for name, text in (
        ("uid_map", f"{uid} {uid} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - not a path of a user
            file.write(text)
    return True
