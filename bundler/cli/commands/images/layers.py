"""``airbundle layers``: layers of an image in a new directory; for old scripts."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli.options.command import command
from bundler.cli.options.registry_access import access
from bundler.cli.options.retry import retry_options
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.options.retry import Retry
    from bundler.oci.digest import Digest


@command("layers", hidden=True)
@click.argument("image")
@click.argument("layers", nargs=-1)
@access("the registry")
@retry_options
def layers(image: str, layers: tuple[str, ...], *, access: AccessOptions, retry: Retry) -> None:
    """Write the LAYERS of IMAGE, by their digests, to a new directory layers-…; all if none.

    Deprecated: copy to dir:DIRECTORY writes all of an image.
    """
    from bundler.oci import digest  # noqa: PLC0415 - not for --help

    wanted = [digest.Digest(text if ":" in text else f"sha256:{text}") for text in layers]
    with context.running(1) as work:
        work.retrying(retry, lambda: _take(work, image, wanted, access))


def _take(
    work: context.CommandContext, image: str, wanted: list[Digest], access: AccessOptions
) -> None:
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images import inspect  # noqa: PLC0415 - as above
    from bundler.images.extract_layers import extract_layers  # noqa: PLC0415 - as above

    reference = transports.parse(image)
    opening = work.opening(image, access)
    with ExitStack() as stack:
        source = transports.open_source(reference, opening)
        stack.enter_context(closing(source))
        found = inspect.read_root(source, reference)
        if (admit := work.admit()) is not None:
            admit(source, str(reference), found.root, found.raw)
        one = inspect.select_image(found, context.platform())
        folder = Path(tempfile.mkdtemp(prefix="layers-", dir="."))
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, folder)
            goal = transports.parse(f"dir:{folder}")
            destination = transports.open_destination(goal, work.options())
            with closing(destination):
                extract_layers(found, one, wanted, destination, work.cancellation)
            undo.pop_all()
