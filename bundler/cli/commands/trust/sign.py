"""``airbundle trust sign``: sign a draft of a trust file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.signing.bundle_signers import SignerOptions, bundle_signers
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.signing.bundle_signers import read_signers
from bundler.cli.runtime.trusted_keys import open_store
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@command("sign", "airbundle trust sign 1.trust.json --key alice.key")
@click.argument("draft", type=common.PATH)
@bundle_signers("--key")
@common.as_json
@pass_context
def sign(context: CommandContext, draft: Path, *, signers: SignerOptions, as_json: bool) -> None:
    """Sign DRAFT; the signature is the file DRAFT.<16 digits of the key ID>.sig beside it.

    Compare `trust show DRAFT` with what was agreed before you sign. From now on, DRAFT cannot be
    changed.
    """
    if not signers.given:
        raise UsageError(
            "no signing key given", hint="add --key FILE.key, --sign-cmd COMMAND or --ssh-key FILE"
        )
    keys = read_signers(context, signers)
    from bundler.content.files import atomic_write  # noqa: PLC0415 - not for --help
    from bundler.trust.trust_files import trust_store  # noqa: PLC0415 - loads cryptography

    loaded = trust_store.load(draft, installed=False)
    current = open_store(context, None, read_only=True)
    counted, problems = set(loaded.content.get_keys("trust")), []
    if current is not None:
        counted |= set(current.content.get_keys("trust"))
        version = current.version
        if loaded.version not in (version, version + 1):
            problems.append(
                f"version {loaded.version} does not follow on version {version} of this site"
            )
    problems += [
        f"key {key.public.id[:16]} does not have the role trust; its signature counts only if the"
        " version before gives it this role"
        for key in keys
        if key.public.id not in counted
    ]
    for line in problems:
        text.print_note(f"warning: {draft}: {line}")
    with context.run(1):
        signed = {f"{draft.name}.{key.public.id[:16]}.sig": key.sign(loaded.raw) for key in keys}
    for name, signature in signed.items():
        atomic_write.write_bytes(draft.with_name(name), signature)
    if as_json:
        text.print_json({"file": str(draft), "signatures": list(signed)})
    else:
        text.print_line(f"{draft}: signed: {' '.join(signed)}")
