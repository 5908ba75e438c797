"""The compared programs, by their names in the table."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Programs:
    """The paths of the programs; ``skopeos`` and ``cranes`` by name and version."""

    airbundle: str
    skopeos: dict[str, str]
    cranes: dict[str, str]

    @classmethod
    def find(cls, skopeos: Sequence[str], crane: str | None) -> Programs:
        """Find airbundle, Debian's programs, and the programs specified by the user."""
        found = [servers.program("skopeo"), *skopeos]
        crane = crane or shutil.which("crane")
        return cls(
            str(Path(sys.executable).with_name("airbundle")),
            {f"skopeo {_version([path, '--version'])}": path for path in found},
            {f"crane {_version([crane, 'version'])}": crane} if crane else {},
        )

    def __str__(self) -> str:
        """The versions and the machine, in two lines."""
        openssl = _version(["openssl", "version"])
        registry = _version(["docker-registry", "--version"])
        return (
            f"airbundle {_version([self.airbundle, '--version'])}, Python "
            f"{platform.python_version()}, docker-registry {registry}, openssl {openssl}\n"
            f"beside {', '.join([*self.skopeos, *self.cranes])}; "
            f"{cores()} cores, Linux {platform.release()}"
        )


def is_old(skopeo: str) -> bool:
    """Return whether this is the version of Debian 12, or older."""
    major, minor = map(int, re.findall(r"\d+", skopeo)[:2])
    return (major, minor) < (1, 10)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _version(command: list[str]) -> str:
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"v?(\d+\.\d+[^\s,]*)", output)
    return found[1] if found else "(unknown)"
