"""``airbundle lock``: pin the images of a bundle manifest to their digests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path


@command("lock", "airbundle lock plant-7.yaml")
@click.argument("manifest", type=common.PATH)
@common.image_policies
@registry_access("every registry of the manifest")
@common.jobs()
@common.as_json
@pass_context
def lock(
    context: CommandContext,
    manifest: Path,
    *,
    policies: common.ImagePolicies,
    access: AccessOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Pin every image of MANIFEST to its digest, in a lock file beside it.

    Prints the images that have a new digest, were added or were removed since the last lock file.
    ``airbundle export --locked`` exports exactly the locked content.

    Registry options override the `registries` of MANIFEST, which override the configuration files.
    """
    context.options.refuse_policy("lock")
    from bundler.bundle.manifest import lockfile as locks  # noqa: PLC0415 - not for --help
    from bundler.cli.runtime.exporting import manifest_input  # noqa: PLC0415

    source = manifest_input.load(manifest, context.environment, policies)
    path = locks.find_lock_path(manifest)
    try:
        old = locks.read(path)
    except NotFoundError:
        old = None
    with context.run(jobs) as run:
        options = run.create_open_options(source.create_overrides(access))
        images = source.create_image_requests(options, run.emit)
        new = locks.create(source.manifest, images, options, run.create_engine_options())
    if old is not None:
        new = locks.keep_times(old, new)
    locks.write(path, new)
    changes = None if old is None else locks.compare(old, new)
    moved, fresh, gone = (changes.moved, changes.new, changes.gone) if changes else ((), (), ())
    if as_json:
        value = {"lock": str(path), "images": len(new.images)}
        text.print_json(value | {"moved": moved, "new": fresh, "gone": gone})
        return
    for word, references in (("moved", moved), ("new", fresh), ("gone", gone)):
        for reference in references:
            text.print_line(f"{word}: {reference}")
    state = "" if old is None or moved or fresh or gone else ", none changed"
    text.print_line(f"{path}: {text.count(len(new.images), 'image')}{state}")
