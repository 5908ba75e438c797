"""``airbundle owed``: show which volumes of a bundle a target still lacks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
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
    from pathlib import Path

    from bundler.bundle.format.plan.sealed_plan import PlannedContent, SealedPlan
    from bundler.config.registry_access import RegistryOverride


@command(
    "owed",
    "airbundle owed /media/stick/plant docker://registry.plant:5000 --key plant.pub -o owed.json",
)
@click.argument("volume", type=common.PATH)
@click.argument("target")
@option(
    "-o",
    "--output",
    type=common.PATH,
    metavar="FILE",
    help="Write a request for the missing volumes, for airbundle export --resend.",
)
@bundle_trust
@import_names
@registry_access("the target's registry", uploads=False)
@common.jobs()
@common.as_json
@pass_context
def owed(
    context: CommandContext,
    volume: Path,
    target: str,
    *,
    output: Path | None,
    trust: TrustOptions,
    names: ImportNameOptions,
    access: AccessOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Show which layers of a bundle on volumes TARGET lacks, and on which volumes they are.

    VOLUME is any volume of the bundle; only its signed plan is used. TARGET and the names are those
    of the import. The exit status is 11 if layers are missing.
    """
    if trust.signature_files:
        raise UsageError("--signature does not apply to volumes", hint="leave out --signature")
    from bundler.bundle.format.plan.resend_request import ResendRequest  # noqa: PLC0415 - as above
    from bundler.bundle.format.reading.volume_files import VolumeFiles  # noqa: PLC0415 - not for --help
    from bundler.bundle.importing.import_bundle import ImportRequest  # noqa: PLC0415 - as above
    from bundler.bundle.importing.partial_import import find_owed  # noqa: PLC0415 - as above
    from bundler.bundle.importing.target import RegistryTarget  # noqa: PLC0415 - as above
    from bundler.cli.runtime.importing import import_target  # noqa: PLC0415 - as above
    from bundler.content.files import atomic_write  # noqa: PLC0415 - as above

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
        plan, missing = files.plan, find_owed(request, files, run.create_engine_options())
        numbers = {item.volume for item in missing}
        if output is not None and missing:
            atomic_write.write_bytes(output, ResendRequest.create(files, numbers).to_bytes())
    if as_json:
        text.print_json(_describe(plan, missing))
    else:
        _print_missing(plan, missing, target)
    if missing:
        raise VolumesOwedError(
            f"bundle {plan.stream} {plan.serial}",
            numbers,
            len(plan.volumes),
            hint="import these volumes, or write a request with -o FILE, and export them again with"
            " airbundle export --resend FILE",
        )


def _describe(plan: SealedPlan, missing: list[PlannedContent]) -> dict[str, object]:
    return {
        "stream": plan.stream,
        "serial": plan.serial,
        "count": len(plan.volumes),
        "owed": sorted({item.volume for item in missing}),
        "layers": [
            {"digest": item.digest.text, "size": item.size, "volume": item.volume}
            for item in missing
        ],
    }


def _print_missing(plan: SealedPlan, missing: list[PlannedContent], target: str) -> None:
    sizes: Counter[int] = Counter()
    for item in missing:
        sizes[item.volume] += item.size
    for number in sorted(sizes):
        layers = text.count(sum(item.volume == number for item in missing), "layer")
        size = text.format_size(sizes[number])
        text.print_line(f"volume {number} of {len(plan.volumes)}: {layers}, {size} missing")
    if not missing:
        text.print_line(f"{plan.stream} {plan.serial}: {target} has all layers")
