"""Verification of signed OpenPGP messages with given public keys, and no others.

The program gpg verifies, or the library pysequoia if gpg is not installed. A message is accepted
only if it consists of one literal and one valid signature of its bytes by a key that is neither
expired nor revoked.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bundler.errors import InvalidSignatureError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from bundler.cancel import Cancellation


@dataclass(frozen=True, slots=True)
class VerifiedMessage:
    """The content of a message with a valid signature."""

    content: bytes = field(repr=False)
    signing_key: str
    """The fingerprint of the key or subkey that made the signature, in upper case."""
    primary_key: str
    """The fingerprint of the primary key, in upper case."""

    def check_signer(self, fingerprints: Collection[str]) -> str:
        """Return the fingerprint of the signer that is one of ``fingerprints``.

        A signature by a subkey is also accepted by the fingerprint of its primary key.

        Raises:
            InvalidSignatureError: another key made the signature.
        """
        for fingerprint in (self.signing_key, self.primary_key):
            if fingerprint in fingerprints:
                return fingerprint
        signer = self.signing_key
        if self.primary_key != signer:
            signer += f" of {self.primary_key}"
        raise InvalidSignatureError(
            f"signature by key {signer} is not accepted", key_id=self.signing_key
        )


class Keyring(Protocol):
    """Public keys, with which messages are verified."""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the primary keys, in upper case."""

    def expect(self, messages: Iterable[bytes], /) -> None:
        """Announce messages that may be verified, which then takes less time.

        The verdicts are the same as without this call.
        """

    def verify(self, message: bytes, /) -> VerifiedMessage:
        """Verify a message that contains the signed content.

        Raises:
            InvalidSignatureError: the message has no valid signature, or more than one.
            LimitError: the message is larger than allowed, or takes too long to verify.
            CancelledError: the run is cancelled.
        """


@contextmanager
def open_keyring(keys: Sequence[bytes], cancellation: Cancellation) -> Iterator[Keyring]:
    """Open a temporary keyring with ``keys``, which may each contain several public keys.

    Data that contains no key is ignored; the caller checks the fingerprints.

    Raises:
        LimitError: the keys are larger than allowed.
        UnsupportedError: neither gpg nor pysequoia is installed.
    """
    if shutil.which("gpg") is not None:
        from bundler.trust.openpgp.gpg import open_temporary_keyring  # noqa: PLC0415 - as needed

        with open_temporary_keyring(keys, cancellation) as gpg_keyring:
            yield gpg_keyring
        return
    from bundler.trust.openpgp.sequoia import SequoiaKeyring, is_installed  # noqa: PLC0415 - as above

    if not is_installed():
        raise UnsupportedError(
            "OpenPGP signatures cannot be verified: the program gpg is not installed",
            hint="install gnupg, or the Python package pysequoia",
        )
    yield SequoiaKeyring.open(keys, cancellation)
