"""The platform of the machine that this program runs on, as images are labelled."""

from __future__ import annotations

import os

from bundler.oci.platform import Platform

_ARCHITECTURES = {
    "x86_64": ("amd64", None),
    "aarch64": ("arm64", "v8"),
    "arm64": ("arm64", "v8"),
    "armv5tel": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "i386": ("386", None),
    "i586": ("386", None),
    "i686": ("386", None),
    "loongarch64": ("loong64", None),
}
"""What the kernel calls a processor, where images call it something else."""


def platform() -> Platform:
    """This machine's operating system, architecture and variant."""
    system = os.uname()
    return named(system.sysname, system.machine)


def named(system: str, machine: str) -> Platform:
    """The platform that a kernel describes with these two words."""
    architecture, variant = _ARCHITECTURES.get(machine, (machine, None))
    return Platform(system.lower(), architecture, variant)
