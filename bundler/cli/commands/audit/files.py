"""``airbundle files``: list the files of an image."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.images import platforms
from bundler.cli.options.option import option, refuse_conflicts
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from bundler.bundle.audit.layers.scan import Member
    from bundler.bundle.audit.location import Location

_TYPES = {
    "file": stat.S_IFREG,
    "hard link": stat.S_IFREG,
    "directory": stat.S_IFDIR,
    "symbolic link": stat.S_IFLNK,
    "character device": stat.S_IFCHR,
    "block device": stat.S_IFBLK,
    "pipe": stat.S_IFIFO,
}


@command("files", "airbundle files /media/stick/plant-7 prometheus:v2.53.1")
@location_arguments(location="LOCATION", image="[IMAGE]")
@option("--layer", type=int, metavar="N", help="List the members of layer N; the lowest is 1.")
@option("--all-layers", is_flag=True, help="List the members of each layer, whiteouts included.")
@option(
    "--marked",
    is_flag=True,
    help="List only files with set-user-ID or set-group-ID, and world-writable ones.",
)
@platforms.one_platform
@cache_options
@access("the registry")
@key_trust
@common.as_json
@pass_context
def files(
    context: CommandContext,
    location: Location,
    image: str | None,
    *,
    layer: int | None,
    all_layers: bool,
    marked: bool,
    platform: str | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
    as_json: bool,
) -> None:
    """List the files of IMAGE, as its layers put them together.

    LOCATION is a bundle, the directories of all its volumes, or a reference as for copy. IMAGE is
    the name or the digest of an image of the bundle, and can be left out if there is only one. The
    layers are read and verified; nothing is unpacked. An exclamation mark at the beginning of a
    line marks a file with set-user-ID or set-group-ID, and a world-writable one, except a directory
    with the sticky bit.
    """
    refuse_conflicts({"--layer": layer, "--all-layers": all_layers})
    with (
        opened_images.open_platform(
            context, location, image, platform, access, trust=trust
        ) as found,
        found.open_files(cache) as content,
    ):
        if layer is None and not all_layers:
            listed = [(0, file.path, file.member) for file in content.read_tree()]
        else:
            numbers = range(1, len(content.layers) + 1) if layer is None else [layer]
            listed = [
                (number, member.path, member)
                for number in numbers
                for member in content.list_layer(number).members
            ]
    if marked:
        listed = [item for item in listed if item[2].marks]
    if as_json:
        authenticated = opened_images.describe_authentication(found.images)
        text.print_json({**authenticated, "files": [_to_json(*item) for item in listed]})
    else:
        _print_files(listed)
        if marked and not listed and not context.options.quiet:
            text.print_note("no file has set-user-ID or set-group-ID, or is world-writable")


def _print_files(listed: Iterable[tuple[int, str, Member]]) -> None:
    current = 0
    for number, path, member in listed:
        if number != current:
            text.print_line(f"layer {number}")
            current = number
        mode = stat.filemode(_TYPES[member.kind] | member.mode)
        owner = f"{member.uid}:{member.gid}"
        arrow = {"symbolic link": " -> ", "hard link": " link to "}.get(member.kind, "")
        mark = "!" if member.marks else " "
        try:
            changed = f"{datetime.fromtimestamp(member.mtime, UTC):%Y-%m-%d %H:%M}"
        except (ValueError, OverflowError, OSError):
            changed = f"{member.mtime:>16}"
        text.print_line(
            f"{mark} {mode} {owner:>11} {member.size:>11} {changed} "
            f"{path or '.'}{arrow}{member.target}"
        )


def _to_json(number: int, path: str, member: Member) -> dict[str, Any]:
    value: dict[str, Any] = {
        "path": path,
        "type": member.kind,
        "mode": f"{member.mode:04o}",
        "uid": member.uid,
        "gid": member.gid,
        "size": member.size,
        "mtime": member.mtime,
    }
    if member.marks:
        value["marks"] = list(member.marks)
    if member.target:
        value["target"] = member.target
    if number:
        value["layer"] = number
    return value
