"""Names that any file system holds as they are: FAT32, exFAT and NTFS among them.

https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


def is_portable(name: str) -> bool:
    """Whether one file or directory can be called ``name`` wherever it is carried.

    Windows drops a full stop at the end, and keeps some names for devices, with any extension.
    """
    return bool(_NAME.fullmatch(name)) and not name.endswith(".") and not _DEVICE.fullmatch(name)
