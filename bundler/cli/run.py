"""What all commands that move bytes have in common: signals, progress, and opened places."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli import options
from bundler.cli.interrupt import interruptible
from bundler.cli.progress import Progress
from bundler.errors import CancelledError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.cancel import Cancellation
    from bundler.config.settings import RegistryOverride, Settings
    from bundler.events import Emit
    from bundler.oci.platform import Platform
    from bundler.ports import Options


@dataclass(frozen=True, slots=True)
class Run:
    """One command at work."""

    cancellation: Cancellation
    emit: Emit

    def options(
        self,
        overrides: Mapping[str, RegistryOverride] | None = None,
        *,
        platform: Platform | None = None,
        duplicate_blobs: bool = False,
        scratch: Path | None = None,
    ) -> Options:
        """How to open a place; ``overrides`` by the host[:port] that the user named."""
        from bundler.ports import Options  # noqa: PLC0415 - after the arguments are known to be good

        return Options(
            settings(),
            overrides=overrides or {},
            platform=platform,
            duplicate_blobs=duplicate_blobs,
            scratch=scratch,
            cancellation=self.cancellation,
            emit=self.emit,
        )


@contextmanager
def running() -> Iterator[Run]:
    """Stop on signals and show progress until the block ends.

    Ask all questions before: they cannot be answered once the progress is shown.
    """
    progress = Progress.on_stderr(quiet=options.quiet())
    with interruptible(progress.last_words) as cancellation:
        try:
            with progress:
                yield Run(cancellation, progress.emit)
        except CancelledError:
            progress.last_words()
            raise


@cache
def settings() -> Settings:
    """What the environment and the user's files say.

    Raises:
        ConfigError: a file that cannot be understood, or nobody knows where home is.
    """
    from bundler.config.settings import Settings  # noqa: PLC0415 - not for --help

    try:
        home = Path.home()  # noqa: TID251 - the command line's task
    except RuntimeError:
        raise ConfigError("the home directory is unknown", hint="set HOME") from None
    return Settings.load(os.environ, home, os.getuid())  # noqa: TID251 - the command line's task
