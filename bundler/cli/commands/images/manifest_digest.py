"""``airbundle manifest-digest``: compute the digest of a manifest in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.errors import LimitError

_STANDARD_INPUT = Path("-")


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
    from bundler.content.files.os_errors import to_bundler_error  # noqa: PLC0415 - not for --help
    from bundler.oci.manifest import MAX_MANIFEST  # noqa: PLC0415 - as above

    subject = "standard input" if path == _STANDARD_INPUT else str(path)
    try:
        with sys.stdin.buffer if path == _STANDARD_INPUT else path.open("rb") as stream:
            raw = stream.read(MAX_MANIFEST + 1)
    except OSError as error:
        raise to_bundler_error(error, path, "cannot read") from error
    if len(raw) > MAX_MANIFEST:
        raise LimitError(f"{subject}: manifest too large (expected at most {MAX_MANIFEST:,} bytes)")
    return raw, subject
