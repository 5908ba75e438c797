"""The location of the bundle that a command reads: files, or a stream that may be encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.runtime.input_files import read_input
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.format.reading.open_files import AnyLocation
    from bundler.bundle.format.reading.stream_location import StreamLocation
    from bundler.cli.runtime.context import CommandRun
    from bundler.content.encryption.age_keys import Identity, Recipient


def find_location(
    run: CommandRun, bundle: tuple[Path, ...], identity_files: Sequence[Path] = ()
) -> AnyLocation:
    """Return the location of a bundle; ``-`` and an encrypted archive are streams.

    Raises:
        UsageError: identities are given, and the bundle is a directory; or a file has none.
        MissingFileError, LimitError: a file of identities cannot be read.
        UnsupportedError: the library for age is not installed.
    """
    from bundler.bundle.format.files.bundle_paths import PIPE  # noqa: PLC0415 - not for --help

    if bundle != (PIPE,) and not identity_files:
        return bundle
    return open_stream(run, bundle, identity_files)


def open_stream(
    run: CommandRun, bundle: tuple[Path, ...], identity_files: Sequence[Path]
) -> StreamLocation:
    """Return the location of an archive that is read once; raises as ``find_location``."""
    from bundler.bundle.format.reading.stream_location import StreamLocation  # noqa: PLC0415 - for streams

    if len(bundle) > 1 or bundle[0].is_dir():
        raise UsageError(
            f"--identity: {bundle[0]} is a directory, which is not encrypted (expected an archive)",
            hint="leave out --identity",
        )
    return StreamLocation(bundle[0], run.cancellation, read_identities(identity_files))


def read_identities(paths: Sequence[Path]) -> tuple[Identity, ...]:
    """Read the files of identities; raises as ``find_location``."""
    if not paths:
        return ()
    from bundler.content.encryption import age_keys  # noqa: PLC0415 - on request

    found: list[Identity] = []
    for path in paths:
        raw, subject = read_input(path, "a file of identities", age_keys.MAX_KEY_FILE)
        found += age_keys.parse_identities(raw, f"--identity {subject}")
    return tuple(found)


def read_recipients(values: Sequence[str]) -> tuple[Recipient, ...]:
    """Return the recipients in the values of ``--encrypt-to``, which may be paths of files.

    Raises:
        UsageError: a value or a line of a file is not a recipient.
        MissingFileError, LimitError: a file cannot be read, or there are too many recipients.
        UnsupportedError: the library for age is not installed.
    """
    if not values:
        return ()
    from pathlib import Path  # noqa: PLC0415 - on request

    from bundler.content.encryption import age_keys  # noqa: PLC0415 - as above

    found: list[Recipient] = []
    for value in values:
        lines, subject = [value], "--encrypt-to"
        if not age_keys.is_recipient(value):
            raw, subject = read_input(Path(value), "a file of recipients", age_keys.MAX_KEY_FILE)
            lines = raw.decode("utf-8", "replace").splitlines()
        found += age_keys.parse_recipients(lines, subject)
    return tuple(found)
