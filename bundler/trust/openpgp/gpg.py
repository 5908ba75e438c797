"""The program gpg, with a keyring that holds only the given keys.

Each keyring is a directory of its own, which only its owner may read, and is removed afterwards.
gpg starts no agent and contacts no key server.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.run_program import Pipe, find_program, run_program
from bundler.errors import InvalidSignatureError, LimitError, UnsupportedError
from bundler.oci.signature import MAX_SIGNATURE
from bundler.trust.openpgp.expected_messages import ExpectedMessages
from bundler.trust.openpgp.gpg_status import (
    StatusLine,
    find_key_id,
    find_signer,
    parse_status,
    split_by_file,
)
from bundler.trust.openpgp.keyring import VerifiedMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bundler.cancel import Cancellation
    from bundler.content.run_program import ProgramResult

_TIMEOUT = 60
_MAX_KEYS = 16 * 1024 * 1024
_CLOSED = (
    "--no-options",
    "--no-autostart",
    "--no-auto-key-retrieve",
    "--no-auto-check-trustdb",
    "--disable-dirmngr",
)
"""Options that exclude the user's settings, the agent and the network."""


@contextmanager
def open_temporary_keyring(
    keys: Sequence[bytes], cancellation: Cancellation
) -> Iterator[GpgKeyring]:
    """Create a keyring in a new directory, and import ``keys``; see ``keyring.open_keyring``."""
    if sum(map(len, keys)) > _MAX_KEYS:
        raise LimitError(f"public keys: too large (expected at most {_MAX_KEYS:,} bytes)")
    with tempfile.TemporaryDirectory(prefix="airbundle-", ignore_cleanup_errors=True) as home:
        # The owner of a temporary keyring trusts all of its keys.
        options = ("--homedir", home, "--trust-model", "always")
        environment = {"LC_ALL": "C", "HOME": home}
        found: dict[str, None] = {}
        for data in keys:
            _, lines = run_gpg(
                (*_CLOSED, *options, "--import"),
                data,
                cancellation,
                environment=environment,
                timeout=_TIMEOUT,
            )
            imports = [line.arguments for line in lines if line.keyword == "IMPORT_OK"]
            found |= dict.fromkeys(arguments[1] for arguments in imports if len(arguments) > 1)
        yield GpgKeyring(options, environment, tuple(found), cancellation)


def open_user_keyring(environment: Mapping[str, str], cancellation: Cancellation) -> GpgKeyring:
    """Open the keyring of the user, as ``environment`` locates it; it has no fingerprints."""
    return GpgKeyring((), {**environment, "LC_ALL": "C"}, (), cancellation)


@dataclass(frozen=True, slots=True)
class GpgKeyring:
    """A keyring in a home directory of gpg."""

    _options: tuple[str, ...]
    _environment: Mapping[str, str]
    fingerprints: tuple[str, ...]
    _cancellation: Cancellation
    _expected: ExpectedMessages = field(default_factory=ExpectedMessages)

    def expect(self, messages: Iterable[bytes], /) -> None:
        """Announce messages, as ``Keyring.expect`` describes."""
        self._expected.add(messages)

    def verify(self, message: bytes, /) -> VerifiedMessage:
        """Verify ``message``, as ``Keyring.verify`` describes."""
        if (expected := self._expected.find(message, self._verify_all)) is not None:
            return expected
        result, lines = self._verify(message)
        signing_key, primary_key = find_signer(lines, result.status)
        return VerifiedMessage(result.output, signing_key, primary_key)

    def read_unverified(self, message: bytes, /) -> tuple[bytes, str]:
        """Return the content of ``message``, and the key ID that its signature states, unverified.

        Raises:
            InvalidSignatureError: the message is not a signed message.
        """
        result, lines = self._verify(message)
        key_id = find_key_id(lines)
        if key_id is None or sum(line.keyword == "PLAINTEXT" for line in lines) != 1:
            raise InvalidSignatureError("the input is not a signature")
        return result.output, key_id

    def _verify(self, message: bytes) -> tuple[ProgramResult, list[StatusLine]]:
        if len(message) > MAX_SIGNATURE:
            raise LimitError(f"signature: too large (expected at most {MAX_SIGNATURE:,} bytes)")
        return self._run(("--output", "-", "--verify"), message)

    def _verify_all(self, messages: Sequence[bytes]) -> list[VerifiedMessage]:
        """Verify messages with one process; see ``ExpectedMessages``.

        Of the commands that read several messages, only ``--decrypt`` writes the content of each.
        """
        with tempfile.TemporaryDirectory(prefix="airbundle-", ignore_cleanup_errors=True) as folder:
            contents = [Path(folder, str(number)) for number in range(len(messages))]
            files = [path.with_suffix(".gpg") for path in contents]
            for path, message in zip(files, messages, strict=True):
                path.write_bytes(message)
            result, lines = self._run(("--multifile", "--decrypt", "--", *map(str, files)), b"")
            parts = split_by_file(lines, len(messages))
            signers = [find_signer(part, result.status) for part in parts]
            return [
                VerifiedMessage(path.read_bytes(), *signer)
                for path, signer in zip(contents, signers, strict=True)
            ]

    def _run(self, command: tuple[str, ...], data: bytes) -> tuple[ProgramResult, list[StatusLine]]:
        return run_gpg(
            (*_CLOSED, *self._options, "--max-output", str(MAX_SIGNATURE), *command),
            data,
            self._cancellation,
            environment=self._environment,
            timeout=_TIMEOUT,
        )


def run_gpg(
    arguments: Sequence[str | Pipe],
    data: bytes,
    cancellation: Cancellation,
    *,
    environment: Mapping[str, str],
    timeout: float | None = None,
) -> tuple[ProgramResult, list[StatusLine]]:
    """Run gpg with ``data`` as its input; return the result and the status lines.

    Raises:
        UnsupportedError: gpg is not installed.
        LimitError: gpg writes more, or runs longer, than allowed.
        CancelledError: the run is cancelled.
    """
    status = Pipe()
    command = (find_gpg(), "--batch", "--no-tty", "--status-fd", status, *arguments)
    try:
        result = run_program(
            command,
            data,
            cancellation,
            max_output=MAX_SIGNATURE + 1,
            timeout=timeout,
            environment=environment,
        )
    except OSError as error:
        raise UnsupportedError(f"gpg: cannot be started: {error.strerror}") from None
    return result, parse_status(result.written[status])


def find_gpg() -> str:
    """Return the path of the program gpg.

    Raises:
        UnsupportedError: gpg is not installed.
    """
    return find_program("gpg", hint="install gnupg")
