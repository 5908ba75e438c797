"""The time in which servers make no progress, counted together for all requests of one operation.

Otherwise a server could delay each of these requests until shortly before its limit.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_thread = threading.local()
"""Thread-local state: ``silence`` is that of the current operation."""


@dataclass(slots=True)
class Silence:
    """The silence of one operation, in seconds. For one thread at a time.

    An operation is a request with its redirects, authentication and retries; a list with all its
    pages; or the transfer of a blob with all requests that it takes.
    """

    seconds: float = 0.0
    """How long servers have made no progress; bytes of a body make up for it."""
    waited: float = 0.0
    """How long the operation has waited before retries."""


@contextmanager
def count_together() -> Iterator[Silence]:
    """Count the silence of all requests of this thread in the block as that of one operation."""
    outer = getattr(_thread, "silence", None)
    _thread.silence = silence = outer or Silence()
    try:
        yield silence
    finally:
        _thread.silence = outer


def find_silence() -> Silence:
    """Return the silence of the current operation of this thread, or of a new one."""
    return getattr(_thread, "silence", None) or Silence()
