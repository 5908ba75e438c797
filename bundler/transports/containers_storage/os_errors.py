"""Convert operating system errors, with a hint for users without permission."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import to_bundler_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def convert_os_errors(path: Path, problem: str) -> Iterator[None]:
    """Convert an OSError in the block to a ``BundlerError``; ``problem`` is like "cannot write"."""
    try:
        yield
    except OSError as error:
        converted = to_bundler_error(error, path, problem)
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            converted.hint = (
                "run this as the owner of the storage or in 'podman unshare', or specify a storage "
                "of your own: containers-storage:[ROOT+RUNROOT]NAME"
            )
        raise converted from error
