"""SIF files written by hand around a squashfs of ``mksquashfs``.

https://github.com/apptainer/sif/blob/v2.19.0/pkg/sif/sif.go
"""

from __future__ import annotations

import struct
import subprocess
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ID = "6ecc76b7-a497-4f7f-9ebd-8da2a04c6be1"
MODIFIED = 1_600_000_000
DEFINITION, PARTITION = 0x4001, 0x4004
SQUASHFS, ENCRYPTED = 1, 5
PRIMARY = 2


def create_squashfs(directory: Path, to: Path) -> bytes:
    """Return a squashfs of ``directory``, with all files owned by root."""
    command = ["mksquashfs", directory, to, "-quiet", "-no-progress", "-all-root", "-noappend"]
    subprocess.run(command, check=True, capture_output=True)
    return to.read_bytes()


def partition(
    data: bytes, *, kind: int = SQUASHFS, purpose: int = PRIMARY
) -> tuple[int, bytes, bytes]:
    """Create a data object that is a file system."""
    return PARTITION, data, struct.pack("<ii3s", kind, purpose, b"02\0")


def definition(text: str) -> tuple[int, bytes, bytes]:
    """Create a data object that is the definition file of an image."""
    return DEFINITION, text.encode(), b""


def pack(
    *objects: tuple[int, bytes, bytes],
    magic: bytes = b"SIF_MAGIC\0",
    version: bytes = b"01\0",
    architecture: bytes = b"02\0",
    total: int = 48,
) -> bytes:
    """Create a SIF file of ``objects``: data type, content, and other descriptor fields."""
    start = 128
    offset = start + 585 * 48
    descriptors, data = b"", b""
    for number, (kind, content, extra) in enumerate(objects, 1):
        at = offset + len(data)
        descriptors += struct.pack(
            "<i?IIIqqq4q128s384s",
            *(kind, True, number, 0xF0000001, 0, at, len(content), len(content)),
            *(MODIFIED, MODIFIED, 0, 0, b"name", extra),
        )
        data += content
    header = struct.pack(
        "<32s10s3s3s16s8q",
        *(b"#!/usr/bin/env run-singularity\n", magic, version, architecture),
        *(uuid.UUID(ID).bytes, MODIFIED - 1, MODIFIED),
        *(48 - len(objects), total, start, 585 * 48, offset, len(data)),
    )
    return header + descriptors.ljust(585 * 48, b"\0") + data
