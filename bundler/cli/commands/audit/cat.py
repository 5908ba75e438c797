"""``airbundle cat``: print a file of an image."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.images import platforms
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images

if TYPE_CHECKING:
    from bundler.bundle.audit.location import Location


@command("cat", "airbundle cat /media/stick/plant-7 prometheus:v2.53.1 /etc/os-release")
@location_arguments(location="LOCATION", image="[IMAGE]", path="PATH")
@option("--layer", type=int, metavar="N", help="Read the file as layer N contains it.")
@platforms.one_platform
@cache_options
@access("the registry")
@key_trust
@pass_context
def cat(
    context: CommandContext,
    location: Location,
    image: str | None,
    path: str,
    *,
    layer: int | None,
    platform: str | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
) -> None:
    """Print the file PATH of IMAGE, unchanged.

    LOCATION and IMAGE are specified as for files. Symbolic links are followed as in a container.
    The layer is verified at its end: if the command fails, the output is not to be trusted.
    """
    with (
        opened_images.open_platform(
            context, location, image, platform, access, trust=trust
        ) as found,
        found.open_files(cache) as files,
    ):
        files.read_file(files.find(path, layer=layer), sys.stdout.buffer.write)
