"""Announce the system calls of a process that change files, before each of them is made.

The kernel stops the process at such a call and asks its parent (seccomp user notification), so that
the calls of all threads have one order. The parent lets the call happen, ends the process in its
place, or answers it with an error. Writes to the standard streams are left out.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import struct
import sys
from dataclasses import dataclass

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER = 317, 1, 8
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X86_64 = 0xC000003E
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in seccomp_data

# fmt: off
_ALWAYS = {
    "truncate": 76, "ftruncate": 77, "fallocate": 285, "copy_file_range": 326,
    "rename": 82, "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265,
    "symlink": 88, "symlinkat": 266, "unlink": 87, "unlinkat": 263, "rmdir": 84,
    "mkdir": 83, "mkdirat": 258, "creat": 85, "chmod": 90, "fchmod": 91, "fchmodat": 268,
    "utimensat": 280, "fsync": 74, "fdatasync": 75, "syncfs": 306, "sync_file_range": 277,
}
# fmt: on
_WRITES = {"write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "pwritev2": 328}
_OPENS = {"open": (2, 1), "openat": (257, 2)}
"""The number, and the argument that has the flags."""
_NAMES = {number: name for name, number in (_ALWAYS | _WRITES).items()} | {2: "open", 257: "openat"}
_SYNCS = frozenset({"fsync", "fdatasync", "syncfs", "sync_file_range"})


@dataclass(slots=True)
class Fault:
    """The fault of one run: at the call with the number ``at``, counted from 0.

    The process is killed; with ``error``, the call fails with this number, and the process goes on.
    """

    at: int
    error: int | None = None


@dataclass(slots=True)
class Calls:
    """The calls of one run."""

    number: int = 0
    """Calls that happened or failed; a sync counts only if it is to fail."""
    fault_at: str = ""
    """The name of the call at which the fault occurred; empty if the run ended before."""


def announce() -> int:
    """Have this process and its children announced; return the descriptor for ``attend``.

    Exits with a message if this machine cannot do so.
    """
    if platform.machine() != "x86_64":
        sys.exit("the numbers of system calls are known for x86-64 only")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = _program()
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    listener = libc.syscall(_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        sys.exit(f"seccomp user notification: {os.strerror(ctypes.get_errno())}")
    return int(listener)


def attend(listener: int, group: int, fault: Fault | None) -> Calls:
    """Answer the calls until all processes have ended; kill the process group at the fault.

    Syncs are answered without being made, since they change nothing that a process sees.
    """
    calls = Calls()
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        ((_, events),) = poll.poll()
        if not events & select.POLLIN:
            return calls
        notification = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, notification)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR}:  # the process was killed meanwhile
                continue
            raise
        identifier, _, _, number = struct.unpack_from("QIIi", notification)
        name = _NAMES[number]
        value = _decide(name, calls, fault)
        if value is None:
            os.killpg(group, signal.SIGKILL)
            continue
        answer = struct.pack("QqiI", identifier, 0, value, 0)
        if value == 0 and name not in _SYNCS:
            answer = struct.pack("QqiI", identifier, 0, 0, _CONTINUE)
        try:
            fcntl.ioctl(listener, _SEND, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _decide(name: str, calls: Calls, fault: Fault | None) -> int | None:
    """Return the negative error of a call, 0 if it shall succeed; None to kill the process."""
    if name in _SYNCS and (fault is None or fault.error is None):
        return 0
    calls.number += 1
    if fault is None or calls.number - 1 < fault.at or (fault.error and calls.fault_at):
        return 0
    calls.fault_at = calls.fault_at or name
    return None if fault.error is None else -fault.error


def _program() -> bytes:
    """Return the filter: it announces the calls above, and allows all others."""
    notify, allow = _return(_NOTIFY), _return(_ALLOW)
    tests = [_jump(_EQUAL, number, 0, 1) + notify for number in _ALWAYS.values()]
    files = _load(_ARGUMENTS) + _jump(_AT_LEAST, 3, 0, 1) + notify + allow
    tests += [_jump(_EQUAL, number, 0, 4) + files for number in _WRITES.values()]
    for number, place in _OPENS.values():
        flags = _load(_ARGUMENTS + 8 * place)
        flags += _jump(_ANY_BIT, os.O_CREAT | os.O_TRUNC, 0, 1)
        tests.append(_jump(_EQUAL, number, 0, 4) + flags + notify + allow)
    known = _load(_ARCHITECTURE) + _jump(_EQUAL, _X86_64, 1, 0) + allow
    return known + _load(_NUMBER) + b"".join(tests) + allow


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", _LOAD, 0, 0, offset)


def _jump(test: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("HBBI", test, if_true, if_false, value)


def _return(value: int) -> bytes:
    return struct.pack("HBBI", _RETURN, 0, 0, value)
