"""``airbundle verify-receipt``: check the signature of a receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option, refuse_conflicts
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.oci.json.table import Table


@command("verify-receipt", "airbundle verify-receipt plant-7-1795417200.json --key site.pub")
@click.argument("receipt", type=common.PATH)
@option(
    "--key",
    "key_files",
    multiple=True,
    type=common.PATH,
    metavar="FILE",
    help="Trust the signatures of this public key; one signature suffices. May be repeated.",
)
@option(
    "--trust",
    "trust_file",
    type=common.PATH,
    metavar="FILE",
    help="Trust the keys with the role receipt in this trust file (default: that of the site, if no"
    " --key is given).",
)
@common.as_json
@pass_context
def verify_receipt(
    context: CommandContext,
    receipt: Path,
    *,
    key_files: tuple[Path, ...],
    trust_file: Path | None,
    as_json: bool,
) -> None:
    """Check that a trusted key signed RECEIPT, and print its content.

    The signature is a file beside the receipt, with `.sig` at the end of its name. The exit status
    is 4 if no trusted key signed the receipt.
    """
    refuse_conflicts({"--key": key_files, "--trust": trust_file})
    from bundler.bundle.records import receipts  # noqa: PLC0415 - not for --help

    found = trusted_keys.read_receipt_keys(context, key_files, trust_file)
    if found is None:
        raise UsageError("no key given", hint="add --key FILE.pub, or --trust FILE")
    table, signers = receipts.verify(receipt, found.keys, found.threshold)
    if as_json:
        text.print_json(dict(table.value))
        return
    print_receipt(table, found.names)
    text.print_signers(signers, found.names)


def print_receipt(receipt: Table, names: Mapping[str, str]) -> None:
    """Print a receipt as text, with the ``names`` of keys by their IDs.

    Receipts of older versions lack the decisions on trust.
    """
    images = receipt.tables("images")
    text.print_line(
        f"{receipt.text('stream')} {receipt.integer('serial')}: {text.count(len(images), 'image')}"
        f" to {receipt.text('target')} at {receipt.text('ended')}"
    )
    if "trust" in receipt:
        trust = receipt.table("trust")
        accepted = [text.format_key_id(key, names) for key in trust.texts("accepted")]
        version = f", trust file version {trust.integer('version')}" if "version" in trust else ""
        required = text.count(trust.integer("threshold"), "key")
        state = f"signed by {' '.join(accepted)}" if accepted else "not signed as required"
        for key, problem in trust.text_map("notCounted").items():
            state += f", and by {text.format_key_id(key, names, problem)}"
        text.print_line(f"bundle: {state} ({required} required{version})")
    if "policy" in receipt:
        policy = receipt.table("policy")
        text.print_line(f"policy: {policy.optional_text('digest') or policy.text('status')}")
    for image in images:
        text.print_line(f"  {image.text('name')}: {image.text('action')} {image.text('digest')}")
        for met in image.tables("accepted"):
            signer = [met.optional_text(name) for name in ("key", "identity", "issuer")]
            rule = " ".join(filter(None, (met.text("rule"), *signer)))
            text.print_line(f"    {met.text('manifest')}: {met.text('scope')}: {rule}")
    for option_name in receipt.texts("overrides"):
        reason = receipt.optional_text("reason") or "no reason"
        text.print_line(f"override: {option_name}: {reason}")
