"""The options of ``export``, ``sign`` and ``trust`` that name the signers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options.common import PATH
from bundler.cli.options.option import Decorated, option_group, spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECTION = "Signers"


@dataclass(frozen=True, slots=True)
class SignerOptions:
    """The signers, as given on the command line."""

    key_files: tuple[Path, ...] = ()
    passphrase_file: Path | None = None
    commands: tuple[str, ...] = ()
    command_keys: tuple[Path, ...] = ()
    agent_keys: tuple[Path, ...] = ()

    @property
    def given(self) -> bool:
        """Whether at least one signer is given."""
        return bool(self.key_files or self.commands or self.agent_keys)


NO_SIGNERS = SignerOptions()


def bundle_signers(spelling: str) -> Callable[[Decorated], Decorated]:
    """Add the options, in the parameter ``signers``; ``spelling`` is that for key files."""
    return option_group(
        SignerOptions,
        "signers",
        SECTION,
        {
            "key_files": spec(
                spelling,
                multiple=True,
                type=PATH,
                metavar="FILE",
                help="Sign with this private key. May be repeated.",
            ),
            "passphrase_file": spec(
                "--passphrase-file",
                type=PATH,
                metavar="FILE",
                help="Read the passphrase of the keys from the first line of this file.",
            ),
            "commands": spec(
                "--sign-cmd",
                multiple=True,
                metavar="COMMAND",
                help="Sign with this command, which reads the data from stdin and writes a DER"
                " signature (ECDSA, SHA-256) to stdout. May be repeated.",
            ),
            "command_keys": spec(
                "--sign-cmd-key",
                multiple=True,
                type=PATH,
                metavar="FILE",
                help="The public key of --sign-cmd. Repeat it for each command, in this order.",
            ),
            "agent_keys": spec(
                "--ssh-key",
                multiple=True,
                type=PATH,
                metavar="FILE",
                help="Sign with the ssh-agent's key that has this public key (ECDSA, 256 bits)."
                " May be repeated.",
            ),
        },
    )
