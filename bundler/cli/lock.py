"""``airbundle lock``: pin what a bundle manifest stands for now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli import options, render, run
from bundler.errors import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path


@options.command("lock", "airbundle lock plant-7.yaml")
@click.argument("manifest", type=options.PATH)
@options.jobs
@options.as_json
def lock(manifest: Path, *, jobs: int | None, as_json: bool) -> None:
    """Pin every image of MANIFEST to its digest, in a lock file beside it.

    Says what moved, what is new and what is gone since the last lock. ``airbundle export
    --locked`` makes the same bundle again.
    """
    from bundler.bundle import lock as locks  # noqa: PLC0415 - not for --help
    from bundler.bundle import locking  # noqa: PLC0415
    from bundler.cli import wanting  # noqa: PLC0415

    asked = wanting.load(manifest)
    path = locks.lock_path(manifest)
    try:
        old = locks.read(path)
    except NotFoundError:
        old = None
    with run.running(jobs) as work:
        settings = work.options(asked.manifest.registries)
        images = asked.images(settings, work.emit)
        new = locking.make(asked.manifest, images, settings, work.engine())
    if old is not None:
        new = locks.keep_times(old, new)
    locks.write(path, new)
    changes = None if old is None else locks.compare(old, new)
    moved, fresh, gone = (changes.moved, changes.new, changes.gone) if changes else ((), (), ())
    if as_json:
        value = {"lock": str(path), "images": len(new.images)}
        render.document(value | {"moved": moved, "new": fresh, "gone": gone})
        return
    for word, references in (("moved", moved), ("new", fresh), ("gone", gone)):
        for reference in references:
            render.line(f"{word}: {reference}")
    state = "" if old is None or moved or fresh or gone else ", none of them changed"
    render.line(f"{path}: {render.count(len(new.images), 'image')}{state}")
