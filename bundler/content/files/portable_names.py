"""File names that every file system can store unchanged, including FAT32, exFAT and NTFS.

https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


def is_portable(name: str) -> bool:
    """Return whether every file system can store a file or directory called ``name``.

    Windows drops a full stop at the end, and reserves some names for devices, with any extension.
    """
    return bool(_NAME.fullmatch(name)) and not name.endswith(".") and not _DEVICE.fullmatch(name)
