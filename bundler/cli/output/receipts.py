"""Receipts of imports, as files."""

from __future__ import annotations

import errno
import itertools
import json
import os
from typing import TYPE_CHECKING

from bundler.errors import ConfigError, MediumError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.runtime.environment import Environment


def choose_path(path: Path | None, environment: Environment) -> Path:
    """Return ``path``, or the directory of receipts if it is None.

    Raises:
        MediumError: if the receipt cannot be written there.
    """
    folder = path.parent if path else None
    try:
        if folder is None:
            state = environment.find_path("XDG_STATE_HOME") or environment.home / ".local/state"
            folder = state / "airbundle" / "receipts"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ConfigError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise MediumError(
            f"{folder or 'receipts'}: cannot write the receipt: {reason}",
            hint="choose a writable file with --receipt FILE",
        ) from None
    return path or folder


def write_receipt(receipt: dict[str, object], path: Path) -> Path:
    """Write the receipt to ``path``, or to a new file if it is a directory; return its path."""
    from bundler.content.files import atomic_write  # noqa: PLC0415 - not for --help

    if path.is_dir():
        name = f"{receipt['stream']}-{receipt['serial']}-{receipt['ended']}.json"
        path = first = path / name.replace(":", "")
        numbers = itertools.count(2)
        while path.exists():  # two imports may end in one second
            path = first.with_stem(f"{first.stem}-{next(numbers)}")
    atomic_write.write_bytes(path, json.dumps(receipt, indent=2).encode() + b"\n")
    return path
