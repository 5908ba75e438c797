"""Errors about the evidence in the records of a site: objects that the log names by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors.access import NotFoundError
from bundler.errors.content import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence


class DamagedEvidenceError(IntegrityError):
    """Objects of the evidence whose content does not match their digests.

    Fields:
        digests: the digests of the objects.

    Raised by readers of evidence, by writers of an object that exists, and by ``log verify``.
    """

    def __init__(self, message: str, digests: Sequence[str]) -> None:
        super().__init__(
            message,
            hint="put the file back from a backup; if there is none, move it away: an import or an"
            " audit of the same content writes it again",
        )
        self.digests = tuple(digests)


class MissingEvidenceError(NotFoundError):
    """Objects of the evidence that the log names, and that are not in the records.

    Fields:
        digests: the digests of the objects.

    Raised by readers of evidence, and by ``log verify``.
    """

    def __init__(self, message: str, digests: Sequence[str]) -> None:
        super().__init__(
            message,
            hint="put the files back from a backup; the log is whole, and shows the imports",
        )
        self.digests = tuple(digests)
