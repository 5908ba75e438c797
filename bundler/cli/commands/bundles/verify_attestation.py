"""``airbundle verify-attestation``: verify where an image comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError
from bundler.oci.json.timestamps import format_to_minute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.verifying.verify_attestations import AttestationReport, VerifiedAttestation


@command(
    "verify-attestation",
    "airbundle verify-attestation docker://registry.plant:5000/library/nginx:1.27 --key plant.pub",
)
@click.argument("image")
@key_trust
@access("the registry")
@common.as_json
@pass_context
def verify_attestation(
    context: CommandContext,
    image: str,
    *,
    trust: TrustOptions,
    access: AccessOptions,
    as_json: bool,
) -> None:
    """Show where IMAGE comes from: its bundle, its source, and the keys that signed this.

    IMAGE is in a registry or a layout, and was exported with --attest. Only statements are shown
    that a key signed which may sign the bundle. The exit status is 4 if there is none.
    """
    trusted = trusted_keys.read_trust(context, trust, read_only=True)
    if not trusted.keys:
        raise UsageError("no key given", hint="add --key FILE.pub, or --trust FILE")
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.bundle.verifying.verify_attestations import verify_attestations  # noqa: PLC0415 - as above

    with context.run(1) as run:
        report = verify_attestations(
            transports.parse(image),
            access.create_open_options(run, image),
            trusted,
            datetime.now(UTC),
            run.cancellation,
        )
    if as_json:
        text.print_json(report.to_json())
    else:
        print_report(report)


def print_report(report: AttestationReport) -> None:
    """Print the attestations of an image as text."""
    text.print_line(f"{report.image}: {report.digest}")
    for item in report.attestations:
        text.print_line()
        print_attestation(item, report.names)
    for reason in report.rejected:
        text.print_note(f"another attestation does not count: {reason}")


def print_attestation(item: VerifiedAttestation, names: Mapping[str, str]) -> None:
    """Print one attestation as text."""
    statement, source = item.statement, item.statement.source
    origin = source.reference or f"{source.transport}: on the exporting computer"
    tool = f"{statement.tool.name} {statement.tool.version}"
    text.print_line(f"exported as {statement.reference}")
    text.print_line(f"from {origin}, {source.digest}")
    if source.mirror is not None:
        text.print_line(f"pulled from a mirror: {source.mirror}")
    text.print_line(
        f"on {format_to_minute(statement.exported)} by {tool},"
        f" in bundle {statement.stream} {statement.serial}"
    )
    if statement.entry is not None:
        entry = statement.entry
        text.print_line(f"requested at {entry.file}:{entry.line}, file {entry.digest}")
    if statement.platforms:
        text.print_line(f"platforms: {' '.join(statement.platforms)}")
    text.print_signers(item.signers, names)
