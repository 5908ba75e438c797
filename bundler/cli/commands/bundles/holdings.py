"""``airbundle holdings``: write a list of the layers that a target has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.options.signing.bundle_signers import (
    SignerOptions,
    bundle_signers,
    require_signers,
)
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from bundler.bundle.holdings.collect import Location
    from bundler.config.registry_access import RegistryOverride


@command(
    "holdings",
    "airbundle holdings docker://registry.plant:5000 -o plant.holdings --receipt-key site.key",
)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@option(
    "-o",
    "--output",
    type=common.PATH,
    metavar="FILE",
    required=True,
    help="Write the list to this file, and the signatures beside it.",
)
@option("--with-names", is_flag=True, help="Also list the names of the images with their digests.")
@bundle_signers("--receipt-key", prefix="receipt-")
@option("--unsigned", is_flag=True, help="Write an unsigned list.")
@registry_access("the registries")
@common.jobs()
@common.as_json
@pass_context
def holdings(
    context: CommandContext,
    targets: tuple[str, ...],
    *,
    output: Path,
    with_names: bool,
    signers: SignerOptions,
    unsigned: bool,
    access: AccessOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Write a list of the layers that each TARGET has, for `export --have` on the other side.

    TARGET is a target as for import, a former bundle, or a receipt of an import: then its images
    are read at its target, which need not list its repositories. Only manifests are read. The list
    contains digests, sizes and repositories; sign it with a key that signs receipts.
    """
    require_signers(signers, "--receipt-key", unsigned=unsigned)
    from datetime import UTC, datetime  # noqa: PLC0415 - not for --help

    from bundler.bundle.holdings import collect, holdings_file  # noqa: PLC0415 - as above
    from bundler.bundle.importing.target import RegistryTarget  # noqa: PLC0415 - as above
    from bundler.bundle.records.signed_file import SignedFile  # noqa: PLC0415 - as above
    from bundler.cli.runtime.signing.bundle_signers import read_signers  # noqa: PLC0415 - as above

    keys = read_signers(context, signers)
    created = datetime.now(UTC).replace(microsecond=0)
    found = []
    with context.run(jobs) as run:
        engine, override = run.create_engine_options(), access.create_override()
        for text_of_target in targets:
            location, own = _read_location(text_of_target, context)
            target = location.target if isinstance(location, collect.Receipt) else location
            settings, by_host = override or own, {}
            if settings is not None and isinstance(target, RegistryTarget):
                by_host[target.domain] = settings
            found.append(collect.collect(location, run.create_open_options(by_host), engine))
    names = {name: digest for held in found for name, digest in held.names.items()}
    content = holdings_file.HoldingsFile(
        created,
        targets,
        holdings_file.merge(held.blobs for held in found),
        names if with_names else {},
        tuple(
            holdings_file.Coverage(target, held.complete, held.repositories)
            for target, held in zip(targets, found, strict=True)
        ),
    )
    signed = SignedFile.sign(content.to_bytes(), keys)
    if signed.failure is not None:
        raise signed.failure
    signed.write(output)
    size = sum(blob.size for blob in content.blobs.values())
    if as_json:
        text.print_json(
            {
                "file": str(output),
                "digest": signed.digest.text,
                "size": len(signed.raw),
                "signatures": sorted(output.name + suffix for suffix in signed.signatures),
                "layers": {"blobs": len(content.blobs), "bytes": size},
                "names": len(names),
                "covers": [
                    {
                        "target": item.target,
                        "complete": item.complete,
                        "repositories": item.repositories and len(item.repositories),
                    }
                    for item in content.covers
                ],
            }
        )
        return
    text.print_line(
        f"{output}: {text.count(len(content.blobs), 'layer')}, {text.format_size(size)}, of"
        f" {text.count(len(names), 'image')}"
    )
    for item in content.covers:
        text.print_line(f"read: {item.describe()} at {item.target}")
    text.print_line(f"signed: {' '.join(sorted(signed.signatures)) or 'no'}")


def _read_location(
    location: str, context: CommandContext
) -> tuple[Location, RegistryOverride | None]:
    """Return the location to read, and the settings of a target file."""
    path = Path(location)
    if path.is_dir():
        return path, None
    if ":" in location or location.endswith((".yaml", ".yml")):
        from bundler.cli.runtime.importing.import_target import read_target  # noqa: PLC0415 - not for --help

        settings = read_target(location, None, context.environment)
        return settings.target, settings.override
    from bundler.bundle.holdings.collect import Receipt  # noqa: PLC0415 - not for --help

    return Receipt.read(path), None
