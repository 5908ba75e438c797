"""The location of an archive that is read once, in its order."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.format.files.bundle_paths import PIPE
from bundler.cancel import Cancellation
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from bundler.bundle.format.archive.member_stream import GeneratorReader
    from bundler.content.encryption.age_keys import Identity

AGE_MAGIC = b"age-encryption.org/v1\n"
"""The first bytes of a file that age encrypted."""

_STANDARD_INPUT = Path("/dev/stdin")


@dataclass(frozen=True, slots=True)
class StreamLocation:
    """An archive that arrives through standard input, or that is encrypted."""

    path: Path
    """The path of the archive, or ``PIPE``."""
    cancellation: Cancellation
    """Its request ends a read that waits for data."""
    identities: tuple[Identity, ...] = field(default=(), repr=False)
    """The keys that decrypt the archive; empty: it is not encrypted."""

    def describe(self) -> str:
        """Return the kind of the stream for messages."""
        return "an encrypted archive" if self.identities else "a pipe"

    @contextmanager
    def open(self) -> Iterator[GeneratorReader]:
        """Open the archive; its content is decrypted while it is read.

        A read raises an error if the stream is cut, damaged or encrypted for other recipients.

        Raises:
            UsageError: no identity is given, and it is encrypted.
            BundlerError: it cannot be read.
        """
        from bundler.bundle.format.archive.member_stream import GeneratorReader  # noqa: PLC0415 - only for streams
        from bundler.transports.shared import archive_file  # noqa: PLC0415 - loads decompressors

        with ExitStack() as stack:
            own = Cancellation(self.cancellation)
            path = _STANDARD_INPUT if self.path == PIPE else self.path
            chunks = stack.enter_context(closing(archive_file.read_pipe(path, own)))
            if self.identities:
                from bundler.content.encryption.age_streams import decrypt  # noqa: PLC0415 - if it is encrypted

                chunks = decrypt(chunks, self.identities, str(self.path), own.request)
            else:
                chunks = _refuse_encrypted(chunks, str(self.path))
            yield GeneratorReader(stack.enter_context(closing(chunks)))


def create_encrypted_error(subject: str) -> UsageError:
    """Return the error for an encrypted archive for which no identity is given."""
    return UsageError(
        f"{subject}: encrypted with age",
        hint="import, verify and ls decrypt it with --identity FILE; for other commands, decrypt it"
        f" first: age -d -i FILE {subject}",
    )


def _refuse_encrypted(
    chunks: Generator[bytes, None, None], subject: str
) -> Generator[bytes, None, None]:
    """Yield ``chunks``, unless they begin like an encrypted archive."""
    start = b""
    while len(start) < len(AGE_MAGIC) and (chunk := next(chunks, b"")):
        start += chunk
    if start.startswith(AGE_MAGIC):
        raise create_encrypted_error(subject)
    if start:
        yield start
    yield from chunks
