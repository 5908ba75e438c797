"""The program that a medium carries, made in the cache of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.program import carried_program, copy_program
from bundler.config.paths import locate_cache

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.runtime.context import CommandRun


def prepare(run: CommandRun, *, with_interpreter: bool = True) -> Path:
    """Return the directory of the program, see ``carried_program.prepare``."""
    environment = run.context.environment
    cache = locate_cache(environment.variables, environment.home, "program")
    return carried_program.prepare(
        cache, run.cancellation, run.emit, with_interpreter=with_interpreter
    )


def prepare_files(run: CommandRun) -> dict[str, Path]:
    """Return the files of the program by their paths in a bundle."""
    return copy_program.place_files(prepare(run))
