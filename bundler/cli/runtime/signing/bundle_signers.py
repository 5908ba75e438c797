"""The signers of bundles, trust files and receipts, from the options of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import SignerError, UsageError

if TYPE_CHECKING:
    from bundler.cli.options.signing.bundle_signers import SignerOptions
    from bundler.cli.runtime.context import CommandContext
    from bundler.trust.private_keys.signers import Signer


def read_signers(context: CommandContext, options: SignerOptions) -> tuple[Signer, ...]:
    """Read the keys of all signers, and prompt for passphrases; nothing is signed yet.

    Raises:
        UsageError: the options are inconsistent, two signers have one key, or a passphrase is
            wrong.
        NotFoundError, ConfigError, UnsupportedError: a key cannot be read.
    """
    if len(options.commands) != len(options.command_keys):
        raise UsageError(
            f"--{options.prefix}sign-cmd-key: one for each --{options.prefix}sign-cmd is needed"
            f" (expected {len(options.commands)}, got {len(options.command_keys)})",
            hint="export the public key of the signing command as PEM:"
            f" --{options.prefix}sign-cmd-key FILE.pub",
        )
    if not options.given and options.passphrase_file is None:
        return ()
    from bundler.cli.runtime.signing import signing_keys  # noqa: PLC0415 - not for --help
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography
    from bundler.trust.private_keys.signers import CommandSigner, parse_command  # noqa: PLC0415 - as above

    signers: list[Signer] = list(
        signing_keys.read_private_keys(context, options.key_files, options.passphrase_file)
    )
    for command, path in zip(options.commands, options.command_keys, strict=True):
        parse_command(command)
        signers.append(CommandSigner(keys.read_public_key(path), command, context.cancellation))
    if options.agent_keys:
        from bundler.trust.private_keys import ssh_agent  # noqa: PLC0415 - rare

        public = list(map(ssh_agent.read_public_key, options.agent_keys))
        socket = context.environment.variables.get("SSH_AUTH_SOCK")
        if not socket:
            raise SignerError(
                "ssh-agent",
                "not reachable: SSH_AUTH_SOCK is not set",
                cause="agent",
                hint="start the agent, and set SSH_AUTH_SOCK",
            )
        for key in public:
            blob = ssh_agent.encode_public_key(key)
            signers.append(ssh_agent.AgentSigner(key, blob, socket, context.cancellation))
    identifiers = [signer.public.id for signer in signers]
    for key_id in identifiers:
        if identifiers.count(key_id) > 1:
            raise UsageError(f"key {key_id[:16]} is given twice")
    return tuple(signers)
