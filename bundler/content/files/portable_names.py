"""File names that every file system can store unchanged, including FAT32, exFAT and NTFS.

https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re

_DEVICE = r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)"
_NAME = re.compile(
    rf"(?!{_DEVICE})[a-z0-9](?:[a-z0-9._-]{{0,198}}[a-z0-9_-])?", re.ASCII | re.IGNORECASE
)


def is_portable(*names: str) -> bool:
    """Return whether every file system can store files or directories called ``names``.

    Windows drops a full stop at the end, and reserves some names for devices, with any extension.
    """
    return all(map(_NAME.fullmatch, names))
