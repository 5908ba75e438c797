"""Signers: private keys, and commands that sign with a key outside this program.

A command receives the data on standard input and writes the signature to standard output: DER for
ECDSA on P-256, 64 bytes for Ed25519, PKCS #1 v1.5 for RSA; the hash is SHA-256. This is how tools
of hardware security modules, cards and key services are used. The signature is verified with the
public key before it is returned.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bundler.content.run_program import run_program
from bundler.errors import InvalidSignatureError, LimitError, SignerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cancel import Cancellation
    from bundler.trust.keys import PublicKey

MAX_SIGNATURE = 64 * 1024
_MAX_ERRORS = 4096  # bytes at the end of the messages of a command
_MAX_EXCERPT = 400  # characters of them in an error
COMMAND_TIMEOUT = 120.0  # seconds; a person may have to touch a card


class Signer(Protocol):
    """Signs data with one key. ``keys.PrivateKey`` is a signer."""

    @property
    def public(self) -> PublicKey:
        """The public key of the signatures."""

    def sign(self, data: bytes) -> bytes:
        """Return a detached signature over ``data``, which verifies with ``public``.

        Raises:
            SignerError: the signer failed.
            CancelledError: the run is cancelled.
        """


@dataclass(frozen=True, slots=True)
class CommandSigner:
    """A command that signs its standard input. It is run without a shell."""

    public: PublicKey
    command: str = field(repr=False)
    """It may contain a PIN, so it is not part of messages."""
    cancellation: Cancellation = field(repr=False, compare=False)
    timeout: float = COMMAND_TIMEOUT

    def sign(self, data: bytes) -> bytes:
        """Run the command; if it fails, the error contains the end of its standard error.

        Raises:
            UsageError: the command is malformed.
            SignerError: it cannot be run, fails, does not end, or returns another signature.
            CancelledError: the run is cancelled.
        """
        arguments = parse_command(self.command)
        name = arguments[0]
        hint = "run it yourself, with the data as its standard input, to see its messages"
        try:
            result = run_program(
                arguments,
                data,
                self.cancellation,
                max_output=MAX_SIGNATURE,
                timeout=self.timeout,
                errors_size=_MAX_ERRORS,
            )
        except OSError as error:
            problem = f"cannot run: {error.strerror}"
            raise SignerError(name, problem, cause="command", hint=hint) from None
        except LimitError as error:
            problem = error.message_without(f"{name.rpartition('/')[2]}: ")
            raise SignerError(name, problem, cause="command", hint=hint) from None
        if result.status != 0:
            problem = f"failed with exit status {result.status}"
            errors = _describe_errors(result.errors, arguments)
            raise SignerError(name, problem, cause="command", errors=errors, hint=hint)
        return check_signature(self.public, result.output, data, name)


def _describe_errors(raw: bytes, arguments: Sequence[str]) -> str:
    """Return the last messages of a command as one line, without its arguments.

    An argument may be a PIN, which a command may repeat.
    """
    excerpt = " ".join(raw.decode(errors="replace").split())
    excerpt = "".join(character for character in excerpt if character.isprintable())
    for argument in sorted(arguments[1:], key=len, reverse=True):
        if len(argument) > 1:
            excerpt = excerpt.replace(argument, "…")
        for word in re.findall(r"\w+", argument):
            excerpt = re.sub(rf"\b{word}\b", "…", excerpt)
    return excerpt[-_MAX_EXCERPT:]


def parse_command(command: str) -> list[str]:
    """Split a command into arguments, as a shell does.

    Raises:
        UsageError: it is empty, or a quotation mark is not closed.
    """
    try:
        arguments = shlex.split(command)
    except ValueError:
        raise UsageError("the signing command has an unclosed quotation mark") from None
    if not arguments:
        raise UsageError("the signing command is empty")
    return arguments


def check_signature(public: PublicKey, signature: bytes, data: bytes, name: str) -> bytes:
    """Return ``signature`` if it verifies; ``name`` is the signer in messages.

    Raises:
        SignerError: it does not.
    """
    try:
        public.verify(signature, data)
    except InvalidSignatureError:
        raise SignerError(
            name,
            f"the signature does not match the public key {public.id[:16]} ({public.algorithm})",
            cause="signature",
            hint="specify the public key of this signer; ECDSA signatures must be in DER, over the"
            " SHA-256",
        ) from None
    return signature
