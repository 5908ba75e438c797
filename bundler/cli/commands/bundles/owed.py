"""``airbundle owed``: show which volumes of a bundle a target still lacks."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.import_names import ImportNameOptions, import_names
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.options.signing.bundle_trust import TrustOptions, bundle_trust
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError, VolumesOwedError

if TYPE_CHECKING:
    from bundler.bundle.records.owed_volumes import OwedVolumes
    from bundler.config.registry_access import RegistryOverride


@command(
    "owed",
    "airbundle owed /media/stick/plant docker://registry.plant:5000 --key plant.pub -o owed.json",
)
@click.argument("places", nargs=-1, metavar="[VOLUME] [TARGET]")
@option(
    "-o",
    "--output",
    type=common.PATH,
    metavar="FILE",
    help="Write a request for the missing volumes, for airbundle export --resend.",
)
@option("--stream", metavar="NAME", help="From the records: only the bundle of this stream.")
@records.directory
@bundle_trust
@import_names
@registry_access("the target's registry", uploads=False)
@common.jobs()
@common.as_json
@pass_context
def owed(
    context: CommandContext,
    places: tuple[str, ...],
    *,
    output: Path | None,
    stream: str | None,
    records_path: Path | None,
    trust: TrustOptions,
    names: ImportNameOptions,
    access: AccessOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Show which layers of a bundle on volumes TARGET lacks, and on which volumes they are.

    VOLUME is any volume of the bundle; only its signed plan is used, and TARGET is asked. TARGET
    and the names are those of the import. Without VOLUME, the records of the site state what the
    last import of the bundle left open, and TARGET is not accessed; without TARGET, of all targets.
    The exit status is 11 if layers are missing.
    """
    if trust.signature_files:
        raise UsageError("--signature does not apply to volumes", hint="leave out --signature")
    if len(places) > 2:
        raise UsageError("too many arguments", hint="airbundle owed [VOLUME] [TARGET]")
    if len(places) == 2:
        volume, target = Path(places[0]), places[1]
        found = [_ask_target(context, volume, target, trust, names, access=access, jobs=jobs)]
    else:
        found = _read_records(context, records_path, names, *places, stream=stream)
    missing = [item for item in found if item.layers]
    if output is not None and missing:
        if len(missing) > 1:
            raise UsageError(
                f"volumes of {len(missing)} bundles are missing, and a request is for one",
                hint="specify --stream and TARGET",
            )
        from bundler.content.files import atomic_write  # noqa: PLC0415 - not for --help

        atomic_write.write_bytes(output, missing[0].request.to_bytes())
    if as_json:
        described = [_describe(item) for item in found]
        text.print_json(described[0] if len(places) == 2 else {"bundles": described})
    else:
        for item in found:
            _print_missing(item)
        if not found:
            text.print_line("no import of volumes has left anything open")
    if missing:
        last = missing[0]
        raise VolumesOwedError(
            f"bundle {last.plan.stream} {last.plan.serial}",
            last.request.volumes,
            len(last.plan.volumes),
            layers=[item.digest.text for item in last.layers],
            hint="import these volumes, or write a request with -o FILE, and export them again with"
            " airbundle export --resend FILE",
        )


def _ask_target(
    context: CommandContext,
    volume: Path,
    target: str,
    trust: TrustOptions,
    names: ImportNameOptions,
    *,
    access: AccessOptions,
    jobs: int | None,
) -> OwedVolumes:
    """Compare the plan on a volume with the target."""
    from bundler.bundle.format.plan.resend_request import ResendRequest  # noqa: PLC0415 - not for --help
    from bundler.bundle.format.reading.volume_files import VolumeFiles  # noqa: PLC0415 - as above
    from bundler.bundle.importing.import_bundle import ImportRequest  # noqa: PLC0415 - as above
    from bundler.bundle.importing.partial_import import find_owed  # noqa: PLC0415 - as above
    from bundler.bundle.importing.target import RegistryTarget  # noqa: PLC0415 - as above
    from bundler.bundle.records.owed_volumes import OwedVolumes  # noqa: PLC0415 - as above
    from bundler.cli.runtime.importing import import_target  # noqa: PLC0415 - as above
    from bundler.oci.json import timestamps  # noqa: PLC0415 - as above

    settings = import_target.read_target(target, names, context.environment)
    trusted = trusted_keys.read_trust(context, trust, read_only=True)
    override = access.create_override()
    by_host: dict[str, RegistryOverride] = {}
    if isinstance(settings.target, RegistryTarget) and override is not None:
        by_host[settings.target.domain] = override
    with context.run(jobs) as run, VolumeFiles((volume,)) as files:
        request = ImportRequest(
            volume,
            settings.target,
            run.create_open_options(by_host),
            trusted,
            names=settings.names,
            only=names.parse_patterns(),
        )
        layers = tuple(find_owed(request, files, run.create_engine_options()))
        resend = ResendRequest.create(files, {item.volume for item in layers})
    now = timestamps.format_utc(datetime.now(UTC))
    return OwedVolumes(str(settings.target), now, files.plan, layers, resend)


def _read_records(
    context: CommandContext,
    path: Path | None,
    names: ImportNameOptions,
    target: str | None = None,
    *,
    stream: str | None,
) -> list[OwedVolumes]:
    """Return what the records of the site state, of ``target`` and ``stream`` if they are given."""
    from bundler.bundle.records import owed_volumes  # noqa: PLC0415 - not for --help
    from bundler.cli.runtime.importing import import_target  # noqa: PLC0415 - as above

    location = None
    if target is not None:
        location = str(import_target.read_target(target, names, context.environment).target)
    found = owed_volumes.read(records.find_records(path, context.environment), target=location)
    return [item for item in found if stream in (None, item.plan.stream)]


def _describe(owed: OwedVolumes) -> dict[str, object]:
    return {
        "stream": owed.plan.stream,
        "serial": owed.plan.serial,
        "target": owed.target,
        "time": owed.time,
        "count": len(owed.plan.volumes),
        "owed": list(owed.request.volumes),
        "layers": [
            {"digest": item.digest.text, "size": item.size, "volume": item.volume}
            for item in owed.layers
        ],
    }


def _print_missing(owed: OwedVolumes) -> None:
    plan, sizes = owed.plan, Counter[int]()
    for item in owed.layers:
        sizes[item.volume] += item.size
    if sizes:
        text.print_line(f"{plan.stream} {plan.serial}: {owed.target}, {owed.time}:")
    for number in sorted(sizes):
        layers = text.count(sum(item.volume == number for item in owed.layers), "layer")
        size = text.format_size(sizes[number])
        text.print_line(f"volume {number} of {len(plan.volumes)}: {layers}, {size} missing")
    if not sizes:
        text.print_line(f"{plan.stream} {plan.serial}: {owed.target} has all layers")
