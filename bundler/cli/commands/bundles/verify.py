"""``airbundle verify``: check a bundle and its signatures."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, records
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.gate import GateOptions, gate_options
from bundler.cli.options.command import command
from bundler.cli.options.import_names import ImportNameOptions, import_names
from bundler.cli.options.option import option, parse_day
from bundler.cli.options.signing.bundle_trust import TrustOptions, bundle_trust
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.bundle_location import find_location
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.importing.rehearsal import refuse_network, rehearse
from bundler.cli.runtime.importing.verified_volumes import verify_volumes
from bundler.errors import (
    BundlerError,
    ExpiredError,
    FutureBundleError,
    TrustFileError,
    UsageError,
    shortlist,
)
from bundler.oci.json.timestamps import format_to_minute

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.verifying.verification import Verification

_REHEARSAL = "Rehearsal of an import"


@command(
    "verify",
    "airbundle verify /media/stick/plant-7 --key plant.pub",
    "airbundle verify /media/stick/plant-7 --key plant.pub --offline --at 2027-02-21",
)
@click.argument("bundle", type=common.PATH, nargs=-1, required=True)
@bundle_trust
@common.identity
@option(
    "--offline",
    is_flag=True,
    section=_REHEARSAL,
    help="Also check all that an import checks without a target, with no access to networks.",
)
@option(
    "--at",
    metavar="DATE",
    type=parse_day,
    section=_REHEARSAL,
    help="Check as of the end of this day (UTC), for example 2027-02-21.",
)
@option(
    "--target",
    metavar="TARGET",
    section=_REHEARSAL,
    help="With --offline: the target of the import, or a target file, for target names. It is not"
    " accessed.",
)
@option(
    "--adopt",
    is_flag=True,
    section=_REHEARSAL,
    help="With --offline: accept a stream that this site has not imported before.",
)
@import_names
@gate_options
@cache_options
@records.directory
@common.jobs("Number of files read in parallel (default: one per core).")
@common.as_json
@pass_context
def verify(
    context: CommandContext,
    bundle: tuple[Path, ...],
    *,
    trust: TrustOptions,
    identity_files: tuple[Path, ...],
    offline: bool,
    at: datetime | None,
    target: str | None,
    adopt: bool,
    names: ImportNameOptions,
    gate: GateOptions,
    cache: CacheOptions,
    records_path: Path | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Read all of BUNDLE, and report damage and signers.

    BUNDLE is a directory, or those of several volumes of one bundle. Each volume is also verified
    alone; as long as volumes are missing, the exit status of whole ones is 11. If it is -, an
    archive is read from standard input.

    The exit status is 0 if the bundle is whole and signed by a given key, 3 if it is damaged, 4 if
    its signature does not match, or it is whole but expired or not signed by a given key, and 5 if
    the medium fails to read it.

    With --offline, an import is rehearsed: the bundle is also compared with the records of the
    site, the policy is applied, all manifests are verified, and target names must be valid and not
    collide. They are those of the import with the same options: --target names its TARGET. With
    --rules, the images must also pass the rules, or the exit status is 12.
    Neither this process nor a program that it starts can use a network.
    """
    for spelling, value in {
        "--adopt": adopt,
        "--records": records_path,
        "--target": target,
        "--names": names.rename_rules,
        "--keep-host": names.keep_host,
        "--only": names.only,
        "--rules": gate.rules,
    }.items():
        if value and not offline:
            raise UsageError(f"{spelling}: expected --offline too")
    settings, patterns, rules = None, names.parse_patterns(), gate.load(bundle)
    if offline:
        if identity_files or str(bundle[0]) == "-":
            raise UsageError(
                f"--offline: {bundle[0]} is a pipe or encrypted, and is read once",
                hint="write the archive to a file without encryption, or leave out --offline",
            )
        from bundler.cli.runtime.importing.import_target import read_target  # noqa: PLC0415 - only with --offline

        settings = read_target(target, names, context.environment)
    trusted = trusted_keys.read_trust(context, trust, read_only=True)
    override = trusted_keys.find_override(context, trust)
    if override and not context.options.quiet:
        text.print_note(
            f"the trust file of this site is not used: leave {override} out to verify by it"
        )
    from bundler.bundle.verifying import verify as verifying  # noqa: PLC0415 - not for --help

    rehearsal = None
    reads_layers = rules is not None and rules.rules.depth == "contents"
    with (
        refuse_network() if offline else nullcontext(),
        context.run(jobs) as run,
        cache.open(context, is_needed=reads_layers) as kept,
    ):
        location = find_location(run, bundle, identity_files)
        volumes = verify_volumes(run, location, trusted, threads=jobs, now=at, as_json=as_json)
        verification = verifying.verify(
            location,
            trusted,
            signature_files=trust.signature_files,
            threads=jobs,
            cancellation=run.cancellation,
            emit=run.emit,
            now=at,
        )
        if settings and verification.whole and verification.trust_error is None:
            from bundler.bundle.importing.import_bundle import ImportRequest  # noqa: PLC0415 - as above
            from bundler.bundle.records.admission import Overrides  # noqa: PLC0415 - as above

            request = ImportRequest(
                bundle,
                settings.target,
                run.create_open_options(),
                trusted,
                trust.signature_files,
                names=settings.names,
                only=patterns,
                now=at,
                gate=None if rules is None else replace(rules, now=at, cache=kept).check,
            )
            site = records.find_records(records_path, context.environment)
            override = trusted_keys.find_override(context, trust, site)
            rehearsal = rehearse(run, request, site, Overrides(signers=override, adopt=adopt))
    if as_json:
        rehearsed = {"rehearsal": rehearsal and rehearsal.to_json()} if offline else {}
        text.print_json(verification.to_json() | rehearsed | volumes.to_json())
    else:
        volumes.print_text()
        print_report(verification)
        if rehearsal is not None:
            rehearsal.print_text(names=target is not None or names != ImportNameOptions())
    try:
        with common.suggest_repair(bundle):
            verification.check()
        volumes.check()
        if rehearsal is not None:
            rehearsal.check()
    except BundlerError as error:
        if at is not None:  # no clock is to blame
            error.hint = _find_hint_of_day(error)
        raise


def _find_hint_of_day(error: BundlerError) -> str | None:
    """Return the hint of an error as of the day of ``--at``."""
    if isinstance(error, FutureBundleError):
        return "specify a day after the export"
    if isinstance(error, ExpiredError):
        return "carry a newer bundle to the site before this day"
    if isinstance(error, TrustFileError) and error.problem == "expired":
        return "carry the next version of the trust file to the site before this day"
    return error.hint


def print_report(verification: Verification) -> None:
    """Print the report of a verification as text."""
    known = verification.inventory
    if known is not None:
        until = f", expires {format_to_minute(known.expires)}" if known.expires else ""
        text.print_line(
            f"{known.stream} {known.serial}, created {format_to_minute(known.created)}{until}"
        )
        for origin in known.relayed:
            signers = " ".join(key_id[:16] for key_id in origin.signed_by)
            text.print_line(f"relayed from {origin.stream} {origin.serial}, signed by {signers}")
        if not known.complete:
            text.print_line(text.INCOMPLETE)
    findings = text.count(len(verification.findings), "finding")
    problem = "cannot be read" if verification.unreadable else "damaged"
    state = "whole" if verification.whole else f"{problem} ({findings})"
    absent = len({layer.digest for _, layer in verification.omissions.layers})
    if verification.whole and absent:
        layers = f"{text.count(absent, 'foreign layer')} {text.be(absent)}"
        state = f"whole, but {layers} not in this bundle"
    if verification.whole and verification.presupposed.blobs:
        held = verification.presupposed
        blobs = f"{text.count(held.blobs, 'blob')} ({text.format_size(held.size)})"
        state += f", presupposes {blobs} at the target"
    number, size = text.count(verification.files, "file"), text.format_size(verification.size)
    images = "" if known is None else f", {text.count(len(known.images), 'image')}"
    text.print_line(f"{state}: {number}, {size}{images}")
    for line in verification.omissions.describe():
        text.print_line(line)
    if verification.read_back is not None:
        text.print_line(verification.read_back.describe())
    if verification.ignored:
        number = text.count(verification.ignored, "other file")
        names = f": {shortlist(verification.foreign)}" if verification.foreign else ""
        text.print_line(f"ignored: {number} beside the bundle{names}")
    if verification.unlisted:
        number = text.count(len(verification.unlisted), "file")
        text.print_line(
            f"unlisted: {number}, not part of the bundle and not imported:"
            f" {shortlist(verification.unlisted)}"
        )
    text.print_signers(verification.signers, verification.names, verification.unfit)
