"""``airbundle standalone-verify``: verify a signature in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.input_files import read_input

if TYPE_CHECKING:
    from pathlib import Path

_MAX_KEYS = 16 * 1024 * 1024


@command(
    "standalone-verify",
    "airbundle standalone-verify manifest.json quay.io/org/app:1.0 any app.signature"
    " --public-key-file keys.gpg",
)
@click.argument("manifest", type=common.PATH)
@click.argument("reference")
@click.argument("fingerprints")
@click.argument("signature", type=common.PATH)
@option(
    "--public-key-file",
    "key_file",
    type=common.PATH,
    metavar="FILE",
    help="Read the public keys from this file (default: the keyring of gpg).",
)
@common.as_json
@pass_context
def standalone_verify(
    context: CommandContext,
    manifest: Path,
    reference: str,
    fingerprints: str,
    signature: Path,
    *,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """Verify that SIGNATURE signs the manifest in MANIFEST for the image name REFERENCE.

    FINGERPRINTS are the complete fingerprints of the accepted keys, separated by commas, or "any"
    for all keys of --public-key-file.
    """
    accepted = tuple(item if item == "any" else item.upper() for item in fingerprints.split(","))
    files = VerificationInput(manifest, signature, key_file)
    signer, digest = verify_files(context, files, reference, accepted)
    if as_json:
        text.print_json({"fingerprint": signer, "digest": digest})
    else:
        text.print_line(f"{signature}: signed by {signer}, digest {digest}")


class VerificationInput(NamedTuple):
    """The files from which a signature is verified."""

    manifest: Path
    signature: Path
    keys: Path | None
    """The public keys; None: those in the keyring of gpg."""


def verify_files(
    context: CommandContext, files: VerificationInput, reference: str, fingerprints: tuple[str, ...]
) -> tuple[str, str]:
    """Verify a signature in a file; return the fingerprint of the signer and the digest."""
    from bundler.cli.commands.images.manifest_digest import read_manifest  # noqa: PLC0415 - not for --help
    from bundler.cli.runtime.signing.openpgp_signers import create_gpg_environment  # noqa: PLC0415 - as above
    from bundler.images.standalone_signing import (  # noqa: PLC0415
        VerificationRequest,
        verify_manifest_signature,
    )
    from bundler.oci.signature import MAX_SIGNATURE  # noqa: PLC0415

    request = VerificationRequest(
        read_manifest(files.manifest)[0],
        reference,
        read_input(files.signature, "signature", MAX_SIGNATURE)[0],
        fingerprints,
        None if files.keys is None else read_input(files.keys, "public keys", _MAX_KEYS)[0],
    )
    with context.run() as run:
        signer, digest = verify_manifest_signature(
            request, create_gpg_environment(context), run.cancellation
        )
    return signer, digest.text
