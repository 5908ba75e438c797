"""Sign with a key of the user: of gpg, or of the key store of sq.

The passphrase is passed through a pipe: arguments and environment are visible to other processes.
Without one, the agent of gpg prompts the user for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from bundler.content.run_program import Pipe, find_program, run_program
from bundler.errors import SigningKeyError, UnsupportedError, UsageError
from bundler.oci.signature import MAX_SIGNATURE
from bundler.trust.openpgp.gpg import run_gpg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.cancel import Cancellation
    from bundler.trust.openpgp.gpg_status import StatusLine

# Codes of libgpg-error, in the low bits of the number that a status line contains.
_CODE_MASK = 0xFFFF
_BAD_PASSPHRASE = 11
_NO_SECRET_KEY = 17

_SIGNED_CONTENT = "S"  # in SIG_CREATED: neither detached nor cleartext


@dataclass(frozen=True, slots=True)
class GpgSigner:
    """Signs with a key in the user's home directory of gpg."""

    fingerprint: str
    environment: Mapping[str, str] = field(repr=False)
    """The environment of gpg, which locates the home directory."""
    cancellation: Cancellation
    passphrase: bytes | None = field(default=None, repr=False)
    """None or empty: the agent asks for the passphrase, if the key has one."""
    key: str = ""
    """The key as the user specified it, for messages; empty: the fingerprint."""

    @classmethod
    def find(
        cls,
        key: str,
        environment: Mapping[str, str],
        cancellation: Cancellation,
        passphrase: bytes | None = None,
    ) -> Self:
        """Find the only secret key with the fingerprint, or another name, ``key``.

        Raises:
            SigningKeyError: there is none, or more than one.
            UnsupportedError: gpg is not installed.
            CancelledError: the run is cancelled.
        """
        arguments = ("--with-colons", "--list-secret-keys", "--", key)
        result, _ = run_gpg(arguments, b"", cancellation, environment=environment)
        records = [line.split(":") for line in result.output.decode("utf-8", "replace").split("\n")]
        found = [
            following[9]
            for record, following in pairwise(records)
            if record[0] == "sec" and following[0] == "fpr"
        ]
        if not found or not key:
            raise SigningKeyError(
                key,
                "no secret key with this name",
                cause="unknown",
                hint="list the keys with gpg --list-secret-keys",
            )
        if len(found) > 1:
            raise SigningKeyError(
                key,
                f"the name of {len(found)} secret keys (expected 1)",
                cause="ambiguous",
                hint="specify the fingerprint of the key",
            )
        return cls(found[0], environment, cancellation, passphrase, key)

    def sign(self, content: bytes) -> bytes:
        """Return an OpenPGP message with ``content`` and its signature.

        Raises:
            SigningKeyError: the key cannot be used.
            UnsupportedError: gpg is not installed.
            CancelledError: the run is cancelled.
        """
        options: list[str | Pipe] = ["--no-armor", "--no-textmode"]
        if self.passphrase:
            secret = Pipe(_check_passphrase(self.passphrase) + b"\n")
            options += ["--pinentry-mode", "loopback", "--passphrase-fd", secret]
        result, lines = run_gpg(
            (*options, "--local-user", self.fingerprint, "--output", "-", "--sign"),
            content,
            self.cancellation,
            environment=self.environment,
        )
        created = [line.arguments for line in lines if line.keyword == "SIG_CREATED"]
        kinds = [arguments[:1] for arguments in created]
        if result.status != 0 or kinds != [(_SIGNED_CONTENT,)]:
            raise self._describe_failure(lines)
        return result.output

    def _describe_failure(self, lines: Sequence[StatusLine]) -> SigningKeyError:
        key = self.key or self.fingerprint
        codes = {
            int(word) & _CODE_MASK
            for line in lines
            if line.keyword in ("FAILURE", "ERROR")
            for word in line.arguments[1:2]
            if word.isdecimal()
        }
        if _BAD_PASSPHRASE in codes:
            return SigningKeyError(key, "wrong passphrase", cause="passphrase")
        if _NO_SECRET_KEY in codes:
            return SigningKeyError(
                key,
                "the key cannot sign",
                cause="unusable",
                hint="check its expiry and its capabilities with gpg --list-secret-keys",
            )
        return SigningKeyError(
            key,
            "gpg does not sign with this key",
            cause="unusable",
            hint=f"try: gpg --local-user {key} --sign FILE",
        )


@dataclass(frozen=True, slots=True)
class SqSigner:
    """Signs with a key in the key store of sq."""

    fingerprint: str
    environment: Mapping[str, str] = field(repr=False)
    """The environment of sq; SEQUOIA_HOME locates the key store."""
    cancellation: Cancellation
    passphrase: bytes | None = field(default=None, repr=False)
    """None: the key has none."""

    def sign(self, content: bytes) -> bytes:
        """Return an OpenPGP message with ``content`` and its signature.

        Raises:
            SigningKeyError: the key does not exist, or cannot be used.
            UnsupportedError: sq is not installed.
            CancelledError: the run is cancelled.
        """
        options: list[str | Pipe] = ["--batch"]
        if self.passphrase is not None:
            secret = Pipe(_check_passphrase(self.passphrase), "/dev/fd/")
            options += ["--password-file", secret]
        try:
            result = run_program(
                (
                    find_sq(),
                    *options,
                    "sign",
                    "--binary",
                    "--message",
                    "--signer",
                    self.fingerprint,
                ),
                content,
                self.cancellation,
                max_output=MAX_SIGNATURE,
                environment=self.environment,
            )
        except OSError as error:
            raise UnsupportedError(f"sq: cannot be started: {error.strerror}") from None
        if result.status != 0 or not result.output:
            raise SigningKeyError(
                self.fingerprint,
                "sq does not sign with this key",
                cause="unusable",
                hint=f"try: sq sign --message --signer {self.fingerprint} FILE (sq 1.0 or later)",
            )
        return result.output


def find_sq() -> str:
    """Return the path of the program sq.

    Raises:
        UnsupportedError: sq is not installed.
    """
    return find_program(
        "sq", hint="install sequoia-sq 1.0 or later, or sign with a key of gpg: --sign-by"
    )


def _check_passphrase(passphrase: bytes) -> bytes:
    if b"\n" in passphrase:
        raise UsageError("the passphrase must not contain a line break")
    return passphrase
