"""The process that holds a lock: who, where and since when, and whether it still runs.

Linux tells this of a process on the same host. For other hosts, the process itself writes it.

https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pwd
import re
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from bundler.errors import escape
from bundler.oci.json import timestamps
from bundler.oci.json.table import Table

MAX_RECORD = 4096
"""The maximum size in bytes of an encoded holder."""

_PROC = Path("/proc")
_MACHINE_ID = Path("/etc/machine-id")
_SUBCOMMAND = re.compile(r"[a-z][a-z-]{0,30}", re.ASCII)
_MAX_TEXT = 80
_ENDED = ("Z", "X")  # states of a process that has released its locks


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A process that holds a lock."""

    user: str
    host: str
    process: int
    """The process ID in its PID namespace."""
    command: str
    """The program and its subcommand; other arguments may be secret."""
    since: str
    """When the process began, as in RFC 3339; empty if unknown."""
    ticks: int
    """When the process began, in clock ticks since the host started; 0 if unknown."""
    boot: str
    """The boot ID of the host; empty if unknown."""
    namespace: str
    """The PID namespace."""
    machine: str
    """A digest that identifies the host after a restart; empty if unknown."""

    @classmethod
    def of_process(cls, process: int) -> Self:
        """Describe a process on this host; its unknown properties are empty."""
        ticks = _read_start(process)
        return cls(
            user=_find_user(process),
            host=socket.gethostname(),
            process=process,
            command=_find_command(process),
            since=_format_start(ticks),
            ticks=ticks,
            boot=_read(_PROC / "sys/kernel/random/boot_id"),
            namespace=_read_namespace(),
            machine=_identify_machine(),
        )

    @classmethod
    def parse(cls, raw: bytes, subject: str) -> Self:
        """Parse what ``encode`` returned.

        Raises:
            LimitError, MalformedError: ``raw`` is not an encoded holder.
        """
        table = Table.parse(raw, subject, limit=MAX_RECORD)
        return cls(
            user=table.optional_text("user") or "",
            host=table.text("host"),
            process=table.integer("process"),
            command=table.optional_text("command") or "",
            since=table.optional_text("since") or "",
            ticks=table.integer("ticks", 0),
            boot=table.optional_text("boot") or "",
            namespace=table.optional_text("namespace") or "",
            machine=table.optional_text("machine") or "",
        )

    def encode(self) -> bytes:
        """Return the holder as JSON."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    def __str__(self) -> str:
        """Describe the holder: ``alice@host, process 123, airbundle export, since TIME``."""
        who = f"{self.user}@{self.host}" if self.user else self.host
        since = ""
        with suppress(ValueError):
            began = datetime.fromisoformat(self.since)
            since = f"since {timestamps.format_to_minute(began)}"
        parts = (who, f"process {self.process}", self.command, since)
        return ", ".join(escape(part[:_MAX_TEXT]) for part in parts if part)

    def has_ended(self, *, locked_here: bool) -> bool:
        """Whether the process has certainly ended.

        ``locked_here`` states that no process on this host has the lock of the kernel.
        """
        here = LockHolder.of_process(os.getpid())
        if not self.boot or self.boot != here.boot:
            known = bool(self.machine and self.boot)
            return known and (self.machine, self.host) == (here.machine, here.host)  # restarted
        if self.namespace != here.namespace:
            return locked_here
        return not _is_running(self.process, self.ticks)

    @property
    def is_remote(self) -> bool:
        """Whether the process may run on another host."""
        return self.boot != _read(_PROC / "sys/kernel/random/boot_id")


def _is_running(process: int, ticks: int) -> bool:
    """Whether a process runs that began at ``ticks``, or at an unknown time."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # the process of another user
    fields = _read_fields(process)  # empty if the processes of others are hidden
    return not fields or (fields[0] not in _ENDED and ticks in (0, _read_start(process)))


def _read_start(process: int) -> int:
    fields = _read_fields(process)
    return int(fields[19]) if len(fields) > 19 else 0


def _read_fields(process: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` that follow the name of the program."""
    return _read(_PROC / str(process) / "stat").rpartition(")")[2].split()


def _format_start(ticks: int) -> str:
    with suppress(ValueError, IndexError):
        if ticks:
            uptime = float(_read(_PROC / "uptime").split()[0])
            began = time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
            return timestamps.format_utc(datetime.fromtimestamp(began, UTC))
    return ""


def _find_user(process: int) -> str:
    try:
        uid = (_PROC / str(process)).stat().st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _find_command(process: int) -> str:
    """Return the program and its subcommand, which follows its name."""
    name = _read(_PROC / str(process) / "comm")
    arguments = _read(_PROC / str(process) / "cmdline").split("\0")
    for argument, following in itertools.pairwise(arguments):
        if Path(argument).name[:15] == name:  # Linux cuts the name
            return f"{name} {following}" if _SUBCOMMAND.fullmatch(following) else name
    return name


def _read_namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _identify_machine() -> str:
    """Return a digest of the machine ID, which itself should not be published (machine-id(5))."""
    identity = _read(_MACHINE_ID)
    return hashlib.sha256(f"airbundle lock {identity}".encode()).hexdigest() if identity else ""


def _read(path: Path) -> str:
    """Read a file of the system; empty if it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip().strip("\0")
    except OSError:
        return ""
