"""Messages that are expected to be verified, which are verified several at a time.

The program that verifies takes longer to start than to verify a message. If one message of a batch
is refused, the results of the whole batch are discarded, and the caller verifies each message by
itself. A message therefore has the same verdict and reason as without a batch.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import InvalidSignatureError, LimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bundler.trust.openpgp.keyring import VerifiedMessage

    VerifyAll = Callable[[Sequence[bytes]], Sequence[VerifiedMessage]]

_BATCH = 64
_MAX_TOTAL = 64 * 1024 * 1024


class ExpectedMessages:
    """Messages that are verified in batches when the first of a batch is needed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: dict[bytes, None] = {}
        self._size = 0
        self._batches: dict[bytes, _Batch] = {}

    def add(self, messages: Iterable[bytes]) -> None:
        """Add messages; those that exceed 64 MiB in total are ignored."""
        with self._lock:
            for message in messages:
                self._size += len(message)
                if self._size <= _MAX_TOTAL and message not in self._batches:
                    self._new[message] = None

    def find(self, message: bytes, verify_all: VerifyAll) -> VerifiedMessage | None:
        """Return the result of a message; None if it is not expected, or its batch failed.

        ``verify_all`` verifies a batch: it returns one result for each message, or raises
        InvalidSignatureError, LimitError or OSError if any of them is not certainly valid.
        """
        with self._lock:
            if self._new:
                # Threads that need successive messages get different batches, and do not wait.
                messages = list(self._new)
                self._new.clear()
                number = -(-len(messages) // _BATCH)
                for first in range(number):
                    new = _Batch(messages[first::number])
                    self._batches |= dict.fromkeys(new.messages, new)
            batch = self._batches.get(message)
        return None if batch is None else batch.find(message, verify_all)


@dataclass(slots=True)
class _Batch:
    messages: Sequence[bytes]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _results: dict[bytes, VerifiedMessage] | None = None

    def find(self, message: bytes, verify_all: VerifyAll) -> VerifiedMessage | None:
        """Return the result of one of the messages; None if the batch failed."""
        with self._lock:
            if self._results is None:
                self._results = {}
                with suppress(InvalidSignatureError, LimitError, OSError):
                    results = verify_all(self.messages)
                    self._results = dict(zip(self.messages, results, strict=True))
            return self._results.get(message)
