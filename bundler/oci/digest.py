"""Content digests, with one strict constructor.

https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import DigestMismatchError, MalformedError

if TYPE_CHECKING:
    from hashlib import _Hash

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """``algorithm:hex``, where the algorithm is sha256 or sha512 and the hex is in lower case.

    Paths and URLs are built only from values of this type, never from untrusted text.

    Raises:
        MalformedError: the text is not such a digest.
    """

    text: str

    def __post_init__(self) -> None:
        if _DIGEST.fullmatch(self.text) is None:
            raise MalformedError(f"{self.text[:160]!r} is not a valid sha256 or sha512 digest")

    @property
    def algorithm(self) -> str:
        """``sha256`` or ``sha512``."""
        return self.text[:6]

    @property
    def hex(self) -> str:
        """The hexadecimal part, in lower case."""
        return self.text[7:]

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """Compute the digest of ``data``."""
        hasher = new_hasher(algorithm)
        hasher.update(data)
        return cls(f"{algorithm}:{hasher.hexdigest()}")

    def matches(self, data: bytes) -> bool:
        """Return whether ``data`` has this digest."""
        return Digest.of(data, self.algorithm) == self

    def verify(self, data: bytes, subject: str) -> None:
        """Verify that ``data`` has this digest.

        Raises:
            DigestMismatchError: the digest differs.
        """
        if (got := Digest.of(data, self.algorithm)) != self:
            raise DigestMismatchError(subject, expected=self.text, got=got.text)

    def __str__(self) -> str:
        return self.text


def new_hasher(algorithm: str) -> _Hash:
    """Create a hash object; ``algorithm`` is ``sha256`` or ``sha512``."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, not needed for --help

    return hashlib.new(algorithm)
