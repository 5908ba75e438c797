"""The platform of this machine, with the names that image configs use."""

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
"""Architecture and variant by the kernel's machine name; others are used unchanged."""


def detect_platform() -> Platform:
    """Return the operating system, architecture and variant of this machine."""
    system = os.uname()
    return create_platform(system.sysname, system.machine)


def create_platform(system: str, machine: str) -> Platform:
    """Return the platform for the names that ``uname`` prints."""
    architecture, variant = _ARCHITECTURES.get(machine, (machine, None))
    return Platform(system.lower(), architecture, variant)
