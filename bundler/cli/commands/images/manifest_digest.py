"""``airbundle manifest-digest``: compute the digest of a manifest in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text

if TYPE_CHECKING:
    from pathlib import Path


@command("manifest-digest", "airbundle manifest-digest manifest.json")
@click.argument("file", type=common.PATH)
@common.as_json
def manifest_digest(file: Path, *, as_json: bool) -> None:
    """Print the digest by which registries identify the manifest in FILE (- for stdin)."""
    from bundler.cli.runtime.manifest_file import read_manifest  # noqa: PLC0415 - not for --help
    from bundler.oci.manifest_digest import compute_manifest_digest as digest_of  # noqa: PLC0415 - as above

    raw, subject = read_manifest(file)
    digest = str(digest_of(raw, subject=subject))
    if as_json:
        text.print_json({"file": subject, "digest": digest})
    else:
        text.print_line(digest)
