"""``airbundle standalone-sign``: sign a manifest in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.signing import signing_keys
from bundler.cli.runtime.signing.openpgp_signers import create_gpg_signer

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.runtime.signing.image_signers import CreateSigner
    from bundler.oci.digest import Digest


@command(
    "standalone-sign",
    "airbundle standalone-sign manifest.json quay.io/org/app:1.0 you@example.com -o app.signature",
)
@click.argument("manifest", type=common.PATH)
@click.argument("reference")
@click.argument("key")
@option(
    "-o",
    "--output",
    required=True,
    type=common.PATH,
    metavar="FILE",
    help="Write the signature to this file.",
)
@common.passphrase_file("Read the passphrase of the key from the first line of this file.")
@common.as_json
@pass_context
def standalone_sign(
    context: CommandContext,
    manifest: Path,
    reference: str,
    key: str,
    *,
    output: Path,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Create a simple signature of the manifest in MANIFEST for the image name REFERENCE.

    KEY is the fingerprint of a key of gpg, or another name of exactly one key. Without
    --passphrase-file, the agent of gpg asks for the passphrase.
    """
    from bundler.oci.reference import ImageReference  # noqa: PLC0415 - not for --help

    ImageReference.parse(reference)
    passphrase = None if passphrase_file is None else signing_keys.read_passphrase(passphrase_file)
    sign = create_gpg_signer(context, key, passphrase, try_first=False)
    digest = write_signature(context, manifest, reference, sign, output)
    if as_json:
        text.print_json({"signature": str(output), "digest": digest.text})


def write_signature(
    context: CommandContext, manifest: Path, reference: str, create: CreateSigner, output: Path
) -> Digest:
    """Sign the manifest in a file, and write the signature to ``output``; return the digest."""
    from bundler.cli.commands.images.manifest_digest import read_manifest  # noqa: PLC0415 - as above
    from bundler.content.files import atomic_write  # noqa: PLC0415
    from bundler.oci.descriptor import Descriptor  # noqa: PLC0415
    from bundler.oci.manifest import compute_manifest_digest  # noqa: PLC0415

    raw, subject = read_manifest(manifest)
    digest = compute_manifest_digest(raw, subject=subject)
    with context.run() as run:
        (signature,) = create(run)(reference, Descriptor("", digest, len(raw)), raw)
        atomic_write.write_bytes(output, signature)
    return digest
