"""Encrypt and decrypt streams with age, in a thread that is connected by a pipe.

The library takes its input from an object and gives its output to one, so a thread runs it. Memory
does not grow with the stream. A stream that is cut never ends without an error: age marks its last
part, and an interrupted encryption writes no last part.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from bundler.content.streams import BUFFER_SIZE, write_all
from bundler.errors import BundlerError, LimitError, MalformedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from bundler.content.encryption.age_keys import Identity, Recipient

MAGIC = b"age-encryption.org/v1\n"
MAX_HEADER = 32 * 1024
"""Maximum size of a header in bytes: the time to read one grows with the square of its size."""

_PART, _TAG = 64 * 1024, 16
_HEADER = re.compile(
    re.escape(MAGIC) + rb"(?:->(?: [!-~]+)+\n(?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63}\n)+"
    rb"--- [A-Za-z0-9+/]{43}\n"
)
_LAST_LINE = re.compile(rb"\n---.*\n")


class _InterruptedError(Exception):
    """The input of an encryption that was given up."""


def measure(size: int) -> int:
    """Return the maximum size in bytes of ``size`` bytes after encryption."""
    return size + (size // _PART + 1) * _TAG + MAX_HEADER


class Encryption:
    """Encryption of all that is written to the pipe ``fd``, until ``finish``.

    ``write`` receives the encrypted bytes, in another thread. The encryption is closed by its
    owner; one that is not finished has no valid end.
    """

    def __init__(self, recipients: Sequence[Recipient], write: Callable[[bytes], None]) -> None:
        self._reader, self.fd = os.pipe()
        self._write = write
        self._complete = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(recipients,), name="age")
        self._thread.start()

    def finish(self) -> None:
        """Write the end, and wait until all has been written.

        Raises:
            BundlerError: raised by ``write``.
        """
        self._complete = True
        self.close()
        self.check()

    def check(self) -> None:
        """Raise the error that ended the encryption, if any."""
        if isinstance(self._failure, BundlerError):
            raise self._failure
        if self._failure is not None:
            raise RuntimeError("age failed") from self._failure

    def close(self) -> None:
        """End the thread; without ``finish``, what was written is not a valid stream."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._thread.join()

    def _run(self, recipients: Sequence[Recipient]) -> None:
        import pyrage  # noqa: PLC0415 - optional

        try:
            pyrage.encrypt_io(_Input(self._read), _Output(self._store), list(recipients))
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the owner
            self._failure = self._failure or error
        finally:
            os.close(self._reader)

    def _store(self, data: bytes) -> None:
        try:
            self._write(data)
        except BaseException as error:
            self._failure = error  # the library may raise another one
            raise

    def _read(self, size: int) -> bytes:
        data = os.read(self._reader, size)
        if not data and not self._complete:
            raise _InterruptedError
        return data


def decrypt(
    chunks: Generator[bytes, None, None],
    identities: Sequence[Identity],
    subject: str,
    stop: Callable[[], None],
) -> Generator[bytes, None, None]:
    """Yield the decrypted content of ``chunks``, which is read in another thread.

    Each yielded part is authentic, but only the end of the generator shows that none is missing.
    ``stop`` makes a read of ``chunks`` that waits for data raise an error.

    Raises:
        MalformedError: not encrypted with age, damaged, cut, or continued after its end.
        LimitError: it begins with too large a header.
        UsageError: no identity decrypts it.
        BundlerError: raised by ``chunks``.
    """
    source = _Chunks(chunks)
    source.check_header(subject)
    reader, writer = os.pipe()
    thread = threading.Thread(target=_run_decryption, args=(source, writer, identities), name="age")
    thread.start()
    count = 0
    try:
        while chunk := os.read(reader, BUFFER_SIZE):
            count += len(chunk)
            yield chunk
    finally:
        os.close(reader)
        if thread.is_alive():
            stop()
        thread.join()
    _raise_failure(source, subject, count)


def _run_decryption(source: _Chunks, writer: int, identities: Sequence[Identity]) -> None:
    import pyrage  # noqa: PLC0415 - optional

    try:
        with closing(source.chunks):
            pyrage.decrypt_io(
                _Input(source.read), _Output(lambda data: write_all(writer, data)), list(identities)
            )
    except BaseException as error:  # noqa: BLE001 - raised in the thread of the owner
        source.failure = source.failure or error
    finally:
        os.close(writer)


def _raise_failure(source: _Chunks, subject: str, count: int) -> None:
    """Raise the error that ended a decryption after ``count`` bytes, if any."""
    if source.failure is None:
        return
    if isinstance(source.failure, BundlerError):
        raise source.failure
    if count or source.ended or isinstance(source.failure, OSError):
        raise MalformedError(
            f"{subject}: cut or damaged after {count:,} decrypted bytes",
            hint="copy it again, and compare both copies with sha256sum",
        )
    raise UsageError(
        f"{subject}: encrypted for other recipients, or damaged in its header",
        hint="specify the identity of a recipient: --identity FILE",
    )


class _Chunks:
    """The encrypted bytes, and the error that ended their decryption. For one thread at a time."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self.chunks = chunks
        self.failure: BaseException | None = None
        self.ended = False
        """Whether the library has read beyond the last byte."""
        self._unread = memoryview(b"")

    def check_header(self, subject: str) -> None:
        """Read the header, and check its form; it remains unread."""
        data = bytearray()
        while (end := _LAST_LINE.search(data)) is None and len(data) <= MAX_HEADER:
            chunk = next(self.chunks, b"")
            data += chunk
            if not chunk or not data.startswith(MAGIC[: len(data)]):
                break
        self._unread = memoryview(bytes(data))
        size = len(data) if end is None else end.end()
        if data.startswith(MAGIC) and size > MAX_HEADER:
            raise LimitError(f"{subject}: header too large (expected at most {MAX_HEADER:,} bytes)")
        if _HEADER.match(data) is None:
            raise MalformedError(
                f"{subject}: not encrypted with age, or its header is cut or damaged",
                hint="leave out --identity if it is not encrypted; otherwise copy it again",
            )

    def read(self, size: int) -> bytes:
        """Return at most ``size`` of the next bytes; none at the end."""
        if not self._unread:
            try:
                self._unread = memoryview(next(self.chunks, b""))
            except BaseException as error:
                self.failure = error
                raise
            self.ended = not self._unread
        data = bytes(self._unread[:size])
        self._unread = self._unread[size:]
        return data


class _Input:
    """The input of the library."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


class _Output:
    """The output of the library."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        """Write all of ``data``."""
        self._write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""
