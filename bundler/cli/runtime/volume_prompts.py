"""Ask on a terminal for the volumes that an export or an import needs next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.output import text
from bundler.cli.runtime import prompts
from bundler.errors import BundlerError, VolumesOwedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.bundle.exporting.export import VolumeQuestion


def import_volumes(
    perform: Callable[[tuple[Path, ...]], None], bundle: tuple[Path, ...], *, may_ask: bool
) -> None:
    """Import a bundle; as long as volumes are missing, ask for the directory of the next one.

    ``perform`` imports from the given directories, and reports and records what it has published.
    Without a terminal, or without ``may_ask``, nothing is asked.

    Raises:
        VolumesOwedError: volumes are missing, and no directory was given.
        BundlerError: as ``perform``.
    """
    while True:
        try:
            return perform(bundle)
        except VolumesOwedError as error:
            if not may_ask or not sys.stdin.isatty():
                raise
            text.print_note(error.message)
            found = _ask_for_next(bundle, error.owed)
            if found is None:
                raise
            bundle = found


def _ask_for_next(bundle: tuple[Path, ...], owed: Sequence[int]) -> tuple[Path, ...] | None:
    """Ask for the directory of one of the volumes ``owed``, until one is given; None: none is.

    Returns the directories of the volumes that are present.
    """
    from bundler.bundle.format.reading.volume_files import VolumeFiles, find_volume_number  # noqa: PLC0415 - not for --help

    numbers = ", ".join(map(str, owed))
    while answer := prompts.prompt(f"Directory of volume {numbers} (empty to end)", default=""):
        # A medium may have been replaced by another one at the same place.
        present = [path for path in bundle if find_volume_number(path) is not None]
        found = tuple(dict.fromkeys([*present, Path(answer)]))
        try:
            with VolumeFiles(found):
                return found
        except BundlerError as error:
            text.print_note(error.message)
    return None


def find_question(*, may_ask: bool) -> Callable[[VolumeQuestion], Path | None] | None:
    """Return how an export asks for the directory of a volume; None: without a terminal."""
    return _ask_for_volume if may_ask and sys.stdin.isatty() else None


def _ask_for_volume(question: VolumeQuestion) -> Path | None:
    if question.problem is not None:
        text.print_note(question.problem)
    size = text.format_size(question.size)
    answer = prompts.prompt(
        f"Directory of volume {question.number} of {question.total}, which needs {size} (empty to"
        " end)",
        default="",
    )
    return Path(answer) if answer else None
