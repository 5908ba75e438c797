"""``airbundle manifest-digest``: compute the digest of a manifest in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.errors import LimitError


@command("manifest-digest", "airbundle manifest-digest manifest.json")
@click.argument("file", type=common.PATH)
@common.as_json
def manifest_digest(file: Path, *, as_json: bool) -> None:
    """Print the digest by which registries identify the manifest in FILE (- for stdin)."""
    from bundler.content.files.os_errors import explained  # noqa: PLC0415 - not for --help
    from bundler.oci.manifest import MAX_MANIFEST  # noqa: PLC0415 - as above
    from bundler.oci.manifest_digest import manifest_digest as digest_of  # noqa: PLC0415 - as above

    what = "standard input" if file == Path("-") else str(file)
    try:
        with sys.stdin.buffer if file == Path("-") else file.open("rb") as stream:
            raw = stream.read(MAX_MANIFEST + 1)
    except OSError as error:
        raise explained(error, file, "cannot read") from error
    if len(raw) > MAX_MANIFEST:
        raise LimitError(f"{what}: more than the {MAX_MANIFEST:,} bytes that a manifest may have")
    digest = digest_of(raw, subject=what)
    if as_json:
        text.document({"file": what, "digest": str(digest)})
    else:
        text.line(str(digest))
