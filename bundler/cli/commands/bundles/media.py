"""``airbundle media``: show what a medium can store, and how fast it is."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import FindingsError, MediumError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.media.capacity import Capacity
    from bundler.bundle.media.filesystem import Medium
    from bundler.bundle.media.probe import Abilities, Speed


@command("media", "airbundle media /media/stick")
@click.argument("path", type=common.PATH)
@option("--no-test", is_flag=True, help="Write nothing: try out neither links nor speed.")
@option(
    "--probe-capacity",
    is_flag=True,
    help="Fill all free space with test files and read them again, which takes long, and shows"
    " whether the medium stores less than it states.",
)
@common.as_json
@pass_context
def media(
    context: CommandContext, path: Path, *, no_test: bool, probe_capacity: bool, as_json: bool
) -> None:
    """Show the medium on which the directory PATH is: file system, space, limits, and speed.

    For the speed, up to 256 MiB are written for at most five seconds, read again past the cache,
    and removed. The exit status is 12 if --probe-capacity finds that data was lost, and 5 if it
    cannot write or read.
    """
    from bundler.bundle.media import capacity, filesystem, probe  # noqa: PLC0415 - not for --help
    from bundler.content.files.safe_directory import Directory  # noqa: PLC0415 - as above

    medium = filesystem.inspect(path)
    abilities = speed = found = None
    with context.run() as run, Directory.open(path) as directory:
        if not (medium.read_only or no_test):
            abilities = probe.probe_abilities(directory)
            speed = probe.measure_speed(directory, run.cancellation)
        if probe_capacity and not medium.read_only:
            with ExitStack() as stack:
                found = capacity.probe_capacity(directory, stack, run.cancellation, run.emit)
    if as_json:
        text.print_json(_to_json(medium, abilities, speed, found))
    else:
        _print_text(path, medium, abilities, speed, found)
    if probe_capacity and found is None:
        raise MediumError(
            f"{path}: mounted read-only, so its capacity was not tested",
            path=str(path),
            hint="disable the write protection, or mount it writable",
        )
    if found is not None and not found.is_genuine:
        raise FindingsError(
            f"{path}: returns only the first {text.format_size(found.intact)} of"
            f" {text.format_size(found.written)} as they were written",
            (),
            hint="do not use this medium",
        )


def _to_json(
    medium: Medium, abilities: Abilities | None, speed: Speed | None, found: Capacity | None
) -> dict[str, Any]:
    return medium.to_json() | {
        "abilities": abilities
        and {
            "hardLinks": abilities.hard_links,
            "symbolicLinks": abilities.symbolic_links,
            "caseSensitive": abilities.case_sensitive,
        },
        "speed": speed
        and {
            "write": round(speed.write),
            "read": round(speed.read),
            "size": speed.size,
            "method": speed.method,
        },
        "capacity": found and {"written": found.written, "intact": found.intact},
    }


def _print_text(
    path: Path,
    medium: Medium,
    abilities: Abilities | None,
    speed: Speed | None,
    found: Capacity | None,
) -> None:
    kind = "removable" if medium.removable else "not removable"
    access = "read-only" if medium.read_only else "writable"
    text.print_line(
        f"{path}: {medium.file_system or 'unknown file system'} on {medium.device or 'a device'},"
        f" mounted at {medium.mount_point}, {kind}, {access}"
    )
    size = f"{text.format_size(medium.free)} of {text.format_size(medium.total)} free"
    files = "" if medium.free_files is None else f", room for {medium.free_files:,} files"
    text.print_line(f"space: {size}{files}")
    largest = medium.largest_file
    limit = "no relevant limit" if largest is None else f"at most {text.format_size(largest)}"
    text.print_line(f"size of a file: {limit}")
    if abilities is not None:
        links = [
            name
            for name, supported in (
                ("hard links", abilities.hard_links),
                ("symbolic links", abilities.symbolic_links),
            )
            if supported
        ]
        case = "differ" if abilities.case_sensitive else "are the same"
        text.print_line(f"links: {' and '.join(links) or 'none'}; names in other case {case}")
    if speed is not None:
        from bundler.content.files.uncached_file import DESCRIPTIONS  # noqa: PLC0415 - not for --help

        how = DESCRIPTIONS[speed.method]
        text.print_line(
            f"speed: write {text.format_size(speed.write)}/s, read"
            f" {text.format_size(speed.read)}/s ({text.format_size(speed.size)}, {how})"
        )
    if found is not None and found.is_genuine:
        text.print_line(f"capacity: all {text.format_size(found.written)} are stored")
