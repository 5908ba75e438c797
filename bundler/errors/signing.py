"""Errors of the keys, commands and agents that sign."""

from __future__ import annotations

from typing import Literal

from bundler.errors.base import BundlerError, UsageError

SigningKeyProblem = Literal["unknown", "ambiguous", "passphrase", "unusable"]
SignerFailure = Literal["command", "agent", "refused", "signature", "size"]


class SigningKeyError(UsageError):
    """An OpenPGP key that cannot sign.

    Fields:
        key: the key, as the user specified it.
        cause: the cause; ``unusable``: for example expired, revoked, or refused by the user.

    Raised by signing with gpg and sq.
    """

    def __init__(
        self, key: str, problem: str, *, cause: SigningKeyProblem, hint: str | None = None
    ) -> None:
        super().__init__(f"key {key!r}: {problem}", hint=hint)
        self.key = key
        self.cause = cause


class SignerError(BundlerError):
    """A command or an agent that does not sign.

    Fields:
        signer: the name of the command, or ``ssh-agent``.
        cause: the part that failed: the ``command``; the ``agent``, which does not respond or
            ``refused``; the ``signature``, which does not match; the ``size`` of the data.
        errors: the last messages of the command, without control characters and without its
            arguments; empty if there are none.

    Raised by signers outside this program.
    """

    def __init__(
        self,
        signer: str,
        problem: str,
        *,
        cause: SignerFailure,
        errors: str = "",
        hint: str | None = None,
    ) -> None:
        reported = f": {errors}" if errors else ""
        super().__init__(f"{signer}: {problem}{reported}", hint=hint)
        self.signer = signer
        self.errors = errors
        self.cause = cause
