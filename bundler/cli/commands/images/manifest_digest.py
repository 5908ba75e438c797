"""``airbundle manifest-digest``: compute the digest of a manifest in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime.input_files import read_input

if TYPE_CHECKING:
    from pathlib import Path


@command("manifest-digest", "airbundle manifest-digest manifest.json")
@click.argument("file", type=common.PATH)
@common.as_json
def manifest_digest(file: Path, *, as_json: bool) -> None:
    """Print the digest of the manifest in FILE (- for stdin), as a registry computes it."""
    from bundler.oci.manifest import compute_manifest_digest  # noqa: PLC0415 - not for --help

    raw, subject = read_manifest(file)
    digest = str(compute_manifest_digest(raw, subject=subject))
    if as_json:
        text.print_json({"file": subject, "digest": digest})
    else:
        text.print_line(digest)


def read_manifest(path: Path) -> tuple[bytes, str]:
    """Read a manifest from a file, or from standard input if the path is ``-``.

    Returns:
        The manifest, and the name of the input for messages.
    """
    from bundler.oci.manifest import MAX_MANIFEST  # noqa: PLC0415 - not for --help

    return read_input(path, "manifest", MAX_MANIFEST)
