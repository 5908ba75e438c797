"""``airbundle sync``: copy many images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.conversion import ConversionFlags, convert_manifests
from bundler.cli.options.option import option, option_group, spec
from bundler.cli.options.platforms import PlatformOptions, platforms
from bundler.cli.options.registry_access import AccessOptions, both_sides
from bundler.cli.options.retry import Retry, retry_options
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, CommandRun, pass_context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.images.sync.sources import SourceTransport, SyncSource
    from bundler.images.sync.targets import DestinationTransport, SyncDestination
    from bundler.ports import OpenOptions

_SOURCES = ("containers-storage", "dir", "docker", "docker-archive", "oci", "oci-archive", "yaml")
_DESTINATIONS = ("containers-storage", "dir", "docker", "oci", "oci-archive")
DEFAULT_JOBS = 8
"""More than for one image: a sync of small images mostly waits for responses."""

_REMOTE = ("docker", "yaml")
_STATES = {"new": "to copy", "present": "already present", "copied": "copied", "failed": "failed"}


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """The options of source and destination."""

    source_kind: SourceTransport | Literal["yaml"]
    destination_kind: DestinationTransport
    scoped: bool = False
    suffix: str = ""
    rename_rules: tuple[str, ...] = ()

    def create_source(self, text: str, access: AccessOptions) -> SyncSource:
        """Return the source, with the settings of its registries."""
        from bundler.images.sync.sources import SyncSource  # noqa: PLC0415 - not for --help

        override = access.create_override() if self.source_kind in _REMOTE else None
        transport = None if self.source_kind == "yaml" else self.source_kind
        return SyncSource(transport, text, override)

    def create_destination(self, text: str) -> SyncDestination:
        """Return the destination, with the mapping of target names."""
        from bundler.copy.target_names import NameMapping, parse_rules  # noqa: PLC0415 - as above
        from bundler.images.sync.targets import SyncDestination  # noqa: PLC0415 - not for --help

        names = NameMapping(
            parse_rules(self.rename_rules),
            "full" if self.scoped else "basename",
            suffix=self.suffix,
        )
        return SyncDestination(self.destination_kind, text, names)

    def create_source_options(
        self, run: CommandRun, text: str, access: AccessOptions
    ) -> OpenOptions:
        """Return the options for opening sources; ``SyncSource`` has the registry settings."""
        if self.source_kind in _REMOTE:
            return run.create_open_options()
        text = f"{self.source_kind}:{text}"
        return access.create_open_options(run, text)

    def create_destination_options(
        self, run: CommandRun, text: str, access: AccessOptions
    ) -> OpenOptions:
        """Return the options for opening the destination whose references begin with ``text``."""
        if self.destination_kind == "docker":
            text = f"//{text.rstrip('/')}/image"
        text = f"{self.destination_kind}:{text}"
        return access.create_open_options(run, text)


_OPTIONS = {
    "source_kind": spec(
        "-s",
        "--src",
        required=True,
        type=click.Choice(_SOURCES),
        help="Transport of SOURCE, or yaml.",
    ),
    "destination_kind": spec(
        "-d",
        "--dest",
        required=True,
        type=click.Choice(_DESTINATIONS),
        help="Transport of DESTINATION.",
    ),
    "scoped": spec(
        "--scoped", is_flag=True, help="Keep the source registry and path in target names."
    ),
    "suffix": spec(
        "--append-suffix", default="", metavar="TEXT", help="Append TEXT to each target name."
    ),
    "rename_rules": common.RENAME_RULES,
}


@command(
    "sync", "airbundle sync --src docker --dest dir --scoped quay.io/prometheus/node-exporter ."
)
@click.argument("source")
@click.argument("destination")
@option_group(SyncOptions, "endpoints", "Source and destination", _OPTIONS)
@platforms
@option("--referrers", is_flag=True, help="Also copy signatures, attestations and SBOMs.")
@convert_manifests
@common.digestfile("Write the digests and names of the copies to this file.")
@option("--keep-going", is_flag=True, help="Skip images that fail, and copy the rest.")
@common.dry_run("Print which images would be copied; write nothing.")
@both_sides(local=False)
@retry_options
@common.jobs(f"Number of parallel transfers (default: {DEFAULT_JOBS}).")
@common.as_json
@pass_context
def sync(
    context: CommandContext,
    source: str,
    destination: str,
    *,
    endpoints: SyncOptions,
    platforms: PlatformOptions,
    referrers: bool,
    conversion: ConversionFlags,
    digestfile: Path | None,
    keep_going: bool,
    dry_run: bool,
    src_access: AccessOptions,
    dest_access: AccessOptions,
    retry: Retry,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy the images that DESTINATION does not have. Run it again after an interruption.

    SOURCE is a repository or one tag of it (docker), a directory that contains images (dir), a
    layout, an archive or a store (oci, oci-archive, docker-archive, containers-storage), or a file
    that lists registries, repositories and tags (yaml). DESTINATION is HOST[:PORT][/PREFIX]
    (docker), a directory, a layout, an archive, or a prefix of names in containers-storage.
    """
    from bundler.images.copy_image import TransferOptions  # noqa: PLC0415 - not for --help
    from bundler.images.sync.sync import SyncRequest, sync_images  # noqa: PLC0415 - as above

    request = SyncRequest(
        endpoints.create_source(source, src_access),
        endpoints.create_destination(destination),
        TransferOptions(
            platforms.create_selection(context.detect_platform),
            referrers,
            conversion.create_options(context.environment),
            conversion.signatures,
        ),
    )
    with context.run(jobs or DEFAULT_JOBS) as run:
        reading = endpoints.create_source_options(run, source, src_access)
        writing = endpoints.create_destination_options(run, destination, dest_access)
        engine, check = (
            run.create_engine_options(keep_going=keep_going),
            context.create_policy_check(),
        )
        report = retry.call(
            lambda: sync_images(
                request, reading, writing, engine, policy_check=check, dry_run=dry_run
            ),
            run.cancellation,
            run.emit,
        )
    if digestfile is not None and not dry_run:
        digestfile.write_text(report.digest_lines())
    if as_json:
        text.print_json(report.to_json() | {"dryRun": dry_run})
    else:
        rows = [(line.source, line.destination, _STATES[line.state]) for line in report.images]
        text.print_table(("IMAGE", "DESTINATION", "OUTCOME"), rows)
        if not dry_run:
            moved, present = report.size("push"), report.size("present")
            text.print_line(
                f"transferred: {text.format_size(moved)};"
                f" already present: {text.format_size(present)}"
            )
    report.check()
