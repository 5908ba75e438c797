"""``airbundle copy``: one image, with all that belongs to it, from one place to another."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundler.cli import options, render, run
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.cli.options import Access
    from bundler.copy.plan import Plan, Target


@options.command("copy")
@click.argument("source")
@click.argument("destination")
@click.option("-a", "--all", "everything", is_flag=True, help="All platforms; this is the default.")
@click.option(
    "--platform",
    "platforms",
    metavar="OS/ARCH[/VARIANT]",
    multiple=True,
    help="Only this platform; given several times, an index with these and a new digest.",
)
@click.option("--referrers", is_flag=True, help="Take signatures and the like along.")
@click.option(
    "--digestfile",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the copied digest to this file.",
)
@click.option("--dry-run", is_flag=True, help="Say what would move; write nothing.")
@options.access("src-", "the source's registry")
@options.access("dest-", "the destination's registry")
@options.jobs
@options.as_json
def copy(
    source: str,
    destination: str,
    *,
    everything: bool,
    platforms: tuple[str, ...],
    referrers: bool,
    digestfile: Path | None,
    dry_run: bool,
    src_access: Access,
    dest_access: Access,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy one image from one place to another.

    SOURCE and DESTINATION are docker://HOST/NAME:TAG, oci:DIRECTORY:NAME or dir:DIRECTORY; a
    docker-archive:FILE can be read. Nothing is changed on the way: the digest stays, unless
    several --platform are given.
    """
    if everything and platforms:
        raise UsageError("--all and --platform exclude one another")
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.copy.engine import execute  # noqa: PLC0415
    from bundler.copy.plan import Target, plan  # noqa: PLC0415
    from bundler.copy.resolve import Wish, resolve  # noqa: PLC0415
    from bundler.copy.select import Selection  # noqa: PLC0415
    from bundler.oci.platform import Platform  # noqa: PLC0415

    origin, goal = transports.parse(source), transports.parse(destination)
    selection = Selection(tuple(map(Platform.parse, platforms)))
    src_overrides = run.overrides(source, src_access)
    dest_overrides = run.overrides(destination, dest_access)
    with run.running(jobs) as work, ExitStack() as stack:
        reading = transports.transport(origin.transport).source(origin, work.options(src_overrides))
        stack.enter_context(closing(reading))
        image = resolve(Wish(reading, origin.name, str(origin), selection, referrers))
        writing = transports.transport(goal.transport).destination(
            goal, work.options(dest_overrides)
        )
        stack.enter_context(closing(writing))
        target = Target(image, writing, (goal.name,) if goal.name else ())
        made = plan([target], work.executor, work.cancellation)
        if not dry_run:
            execute(made, work.engine())
    if digestfile is not None and not dry_run:
        digestfile.write_text(f"{image.graph.root.digest}\n")
    _report(target, made, str(goal), dry_run=dry_run, as_json=as_json)


def _report(target: Target, plan: Plan, place: str, *, dry_run: bool, as_json: bool) -> None:
    root = target.image.graph.root
    moved = {action: (plan.count(action), plan.size(action)) for action in ("push", "present")}
    if as_json:
        report: dict[str, Any] = {
            "source": target.image.wish.label,
            "destination": place,
            "digest": str(root.digest),
            "mediaType": root.media_type,
            "replaces": target.image.replaces and str(target.image.replaces),
            "platforms": [str(platform) for platform in target.image.graph.platforms],
            "referrers": [str(item.graph.root.digest) for item in target.image.referrers],
            "dryRun": dry_run,
            "moved": dict(zip(("blobs", "bytes"), moved["push"], strict=True)),
            "present": dict(zip(("blobs", "bytes"), moved["present"], strict=True)),
        }
        render.document(report)
        return
    render.line(f"{place} {root.digest}")
    if dry_run:
        for action, (number, size) in moved.items():
            what = "to move" if action == "push" else "there already"
            render.line(f"{render.count(number, 'blob')}, {render.size(size)}, {what}")
