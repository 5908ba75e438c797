"""The options that name the signers of bundles, of trust files and of receipts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bundler.cli.options.common import PATH
from bundler.cli.options.option import Decorated, option_group, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECTION = "Signers"


@dataclass(frozen=True, slots=True)
class SignerOptions:
    """The signers, as given on the command line."""

    prefix: str = ""
    """The beginning of the options, for messages."""
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


def require_signers(signers: SignerOptions, spelling: str, *, unsigned: bool) -> None:
    """Check that either signers or ``--unsigned`` are given; ``spelling`` is that for key files."""
    if signers.given != unsigned:
        return
    if unsigned:
        problem = f"{spelling} and --unsigned are mutually exclusive"
        raise UsageError(problem, hint="leave out --unsigned, or the keys")
    raise UsageError(
        "no signing key given",
        hint=f"add {spelling} FILE.key (airbundle keygen creates a key pair), or --unsigned",
    )


def bundle_signers(
    spelling: str, parameter: str = "signers", prefix: str = "", section: str = SECTION
) -> Callable[[Decorated], Decorated]:
    """Add the options, in ``parameter``; ``spelling`` is that for key files.

    The other options begin with ``--`` and ``prefix``, and are listed in ``section``.
    """
    return option_group(
        partial(SignerOptions, prefix),
        parameter,
        section,
        {
            "key_files": spec(
                spelling,
                multiple=True,
                type=PATH,
                metavar="FILE",
                help="Sign with this private key. May be repeated.",
            ),
            "passphrase_file": spec(
                f"--{prefix}passphrase-file",
                type=PATH,
                metavar="FILE",
                help="Read the passphrase of the keys from the first line of this file.",
            ),
            "commands": spec(
                f"--{prefix}sign-cmd",
                multiple=True,
                metavar="COMMAND",
                help="Sign with this command, which reads the data from stdin and writes a DER"
                " signature (ECDSA, SHA-256) to stdout. May be repeated.",
            ),
            "command_keys": spec(
                f"--{prefix}sign-cmd-key",
                multiple=True,
                type=PATH,
                metavar="FILE",
                help=f"The public key of --{prefix}sign-cmd. Repeat it for each command, in this"
                " order.",
            ),
            "agent_keys": spec(
                f"--{prefix}ssh-key",
                multiple=True,
                type=PATH,
                metavar="FILE",
                help="Sign with the ssh-agent's key that has this public key (ECDSA, 256 bits)."
                " May be repeated.",
            ),
        },
        f"{parameter}_",
    )
