"""``airbundle serve``: serve the images of bundles as a read-only registry."""

from __future__ import annotations

import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.import_names import SECTION, ImportNameOptions, import_names
from bundler.cli.options.option import option
from bundler.cli.options.serving import ServerOptions, serving
from bundler.cli.options.signing.bundle_trust import TrustOptions, bundle_trust
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, CommandRun, pass_context
from bundler.copy.target_names import parse_rules
from bundler.errors import CancelledError, TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.reading.open_files import BundleLocation
    from bundler.bundle.serving.server import RegistryServer
    from bundler.trust.bundle_trust import BundleTrust


@command(
    "serve",
    "airbundle serve /media/stick/plant-7 --key plant.pub",
    "airbundle serve plant-7 plant-8 --key plant.pub --keep-host --port 5001",
)
@click.argument("bundles", nargs=-1, required=True, type=common.PATH, metavar="BUNDLE...")
@serving
@bundle_trust
@import_names
@option(
    "--prefix",
    metavar="PATH",
    default="",
    section=SECTION,
    help="Put this before every name, as a target docker://HOST/PATH does.",
)
@option("--verify-first", is_flag=True, help="Read and verify all of the bundles first.")
@option("--allow-unsigned", is_flag=True, help="Serve bundles that are not signed as required.")
@option("--allow-expired", is_flag=True, help="Serve bundles that have expired.")
@option("--reason", metavar="TEXT", help="The reason for --allow-unsigned or --allow-expired.")
@common.jobs("Number of images read in parallel (default: 6).")
@common.as_json
@pass_context
def serve(
    context: CommandContext,
    bundles: tuple[Path, ...],
    *,
    server_options: ServerOptions,
    trust: TrustOptions,
    names: ImportNameOptions,
    prefix: str,
    verify_first: bool,
    allow_unsigned: bool,
    allow_expired: bool,
    reason: str | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Serve the images of each BUNDLE as a read-only registry, without importing them.

    The directories of all volumes of a bundle are one BUNDLE. Nothing is copied. Signatures, expiry
    and the policy are checked as by an import, and the names are those of an import with the same
    options. A web page at / lists the images. The command ends with exit status 0 when it is
    interrupted.
    """
    server_options.check()
    accepted_reason = _check_reason(reason, needed=allow_unsigned or allow_expired)
    from bundler.bundle.format.reading.volume_files import group_volumes  # noqa: PLC0415 - not for --help

    locations = group_volumes(bundles)
    if trust.signature_files and len(locations) > 1:
        raise UsageError("--signature: expected one bundle", hint="serve the bundles one by one")
    patterns, rules = names.parse_patterns(), parse_rules(names.rename_rules)
    trusted = trusted_keys.read_trust(context, trust, read_only=True)
    from bundler.bundle.serving.open_content import ServeRequest, open_content  # noqa: PLC0415 - not for --help
    from bundler.bundle.serving.server import RegistryServer  # noqa: PLC0415 - as above
    from bundler.cli.runtime import policy_file  # noqa: PLC0415 - as above
    from bundler.copy.target_names import NameMapping  # noqa: PLC0415 - as above

    tls, users = server_options.create_tls_context(), server_options.read_users()
    with context.run(jobs) as run, ExitStack() as stack:
        if verify_first:
            _verify(locations, trusted, trust.signature_files, run)
        request = ServeRequest(
            tuple(locations),
            trusted,
            trust.signature_files,
            allow_unsigned=allow_unsigned,
            allow_expired=allow_expired,
            names=NameMapping(rules, "host-path" if names.keep_host else "path", prefix),
            only=patterns,
            policy=policy_file.find_policy(run),
        )
        content, opened = open_content(request, run.create_engine_options(), stack)
        server = RegistryServer(
            server_options.address,
            server_options.port,
            content,
            cancellation=run.cancellation,
            emit=run.emit,
            users=users,
            tls=tls,
        )
        with server, suppress(CancelledError):  # the usual end of a server
            _print_start(server, opened, accepted_reason, as_json=as_json)
            server.run()


def _check_reason(reason: str | None, *, needed: bool) -> str | None:
    if reason is None and needed:
        raise UsageError(
            "--allow-unsigned, --allow-expired: no reason given", hint="add --reason TEXT"
        )
    return None if reason is None else records.check_reason(reason)


def _verify(
    bundles: Sequence[BundleLocation],
    trust: BundleTrust,
    signature_files: tuple[Path, ...],
    run: CommandRun,
) -> None:
    """Read and verify all files of the bundles, as ``import --verify-first`` does."""
    from bundler.bundle.format.reading.open_files import open_files  # noqa: PLC0415 - only with this option
    from bundler.bundle.format.reading.volume_files import VolumeFiles  # noqa: PLC0415 - as above
    from bundler.bundle.verifying.verify import verify  # noqa: PLC0415 - as above

    for bundle in bundles:
        with open_files(bundle) as files:
            if isinstance(files, VolumeFiles):
                files.check_complete()
        verification = verify(
            bundle,
            trust,
            signature_files=signature_files,
            cancellation=run.cancellation,
            emit=run.emit,
        )
        with suppress(TrustError):  # the server checks trust, with the --allow-… options
            verification.check()


def _print_start(
    server: RegistryServer,
    bundles: Sequence[AuthenticatedBundle],
    reason: str | None,
    *,
    as_json: bool,
) -> None:
    """Print the address and the images, at once even if the output is a pipe."""
    images = server.content.images
    if as_json:
        described: dict[str, object] = {
            "url": server.url,
            "images": [image.to_json() for image in images],
        }
        if reason is not None:
            described["reason"] = reason
        text.print_json(described)
    else:
        rows = [(str(i.name), i.reference, text.format_size(i.size)) for i in images]
        text.print_table(("NAME", "REFERENCE", "SIZE"), rows, right={2})
        text.print_line(f"serving {text.count(len(images), 'image')} at {server.url}")
    if reason is not None and not all(bundle.is_authenticated for bundle in bundles):
        text.print_note(f"warning: served without trusted signatures: {reason}")
    sys.stdout.flush()
