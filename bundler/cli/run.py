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
from bundler.errors import CancelledError, ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Executor

    from bundler.cancel import Cancellation
    from bundler.config.settings import RegistryOverride, Settings
    from bundler.copy.engine import Running
    from bundler.events import Emit
    from bundler.ports import Options


DEFAULT_JOBS = 6
"""As many blobs at once as other tools move."""


@dataclass(frozen=True, slots=True)
class Run:
    """One command at work."""

    cancellation: Cancellation
    emit: Emit
    executor: Executor

    def engine(self, *, keep_going: bool = False, read_everything: bool = False) -> Running:
        """How the engine is to go about its work."""
        from bundler.copy.engine import Running  # noqa: PLC0415 - not every command moves blobs

        return Running(
            self.executor,
            self.cancellation,
            self.emit,
            keep_going=keep_going,
            read_everything=read_everything,
        )

    def options(
        self,
        overrides: Mapping[str, RegistryOverride] | None = None,
        daemon_host: str | None = None,
        *,
        duplicate_blobs: bool = False,
    ) -> Options:
        """How to open a place; ``overrides`` by the host[:port] that the user named."""
        from bundler.ports import Options  # noqa: PLC0415 - after the arguments are known to be good

        return Options(
            settings(),
            overrides=overrides or {},
            duplicate_blobs=duplicate_blobs,
            daemon_host=daemon_host,
            scratch=_scratch(),
            cancellation=self.cancellation,
            emit=self.emit,
        )


@contextmanager
def running(jobs: int | None = None) -> Iterator[Run]:
    """Stop on signals and show progress until the block ends; ``jobs`` threads do the work.

    Ask all questions before: they cannot be answered once the progress is shown.
    """
    progress = Progress.on_stderr(quiet=options.quiet())
    with interruptible(progress.last_words) as cancellation:
        try:
            with progress, _threads(jobs or DEFAULT_JOBS) as executor:
                yield Run(cancellation, progress.emit, executor)
        except CancelledError:
            progress.last_words()
            raise


def overrides(text: str, access: options.AccessOptions) -> dict[str, RegistryOverride]:
    """What ``access`` says, by the registry that the reference ``text`` names.

    Raises:
        UsageError: something was said of a registry, but ``text`` names none.
    """
    if not access.given:
        return {}
    transport, _, rest = text.partition("://")
    if transport != "docker":
        raise UsageError(f"{text[:200]!r} names no registry that these options could be for")
    from bundler.oci.reference import ImageReference  # noqa: PLC0415 - loads hashlib

    return {ImageReference.parse(rest).domain: access.override()}


def daemon_host(text: str, host: str | None) -> str | None:
    """``host``, if the reference ``text`` names an image of a container engine.

    Raises:
        UsageError: it does not.
    """
    if host is not None and not text.startswith("docker-daemon:"):
        raise UsageError(
            f"{text[:200]!r} names no container engine that --daemon-host could be for"
        )
    return host


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


def _scratch() -> Path | None:
    """Where the user wants temporary files; None: where each place sees fit."""
    folder = os.environ.get("TMPDIR")  # noqa: TID251 - the command line's task
    return Path(folder) if folder else None


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not for --help

    executor = ThreadPoolExecutor(count, thread_name_prefix="job")
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
