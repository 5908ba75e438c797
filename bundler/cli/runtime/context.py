"""What all commands that move bytes have in common: signals, progress, and opened places."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bundler.cli.frontends import frontend
from bundler.cli.options import common, global_options
from bundler.cli.options import retry as retrying
from bundler.cli.runtime.signals import interruptible
from bundler.errors import BundlerError, CancelledError, ConfigError, TimeLimitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Executor

    from bundler.cancel import Cancellation
    from bundler.cli.options.global_options import ProgramOptions
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.options.retry import Retry
    from bundler.config.registry_access import RegistryOverride
    from bundler.config.settings import Settings
    from bundler.copy.engine import EngineOptions
    from bundler.events import Emit
    from bundler.oci.platform import Platform
    from bundler.ports import OpenOptions, PolicyCheck

Result = TypeVar("Result")

DEFAULT_JOBS = 6
"""As many blobs at once as other tools move."""


@dataclass(frozen=True, slots=True)
class CommandContext:
    """One command at work."""

    cancellation: Cancellation
    emit: Emit
    executor: Executor

    def engine(self, *, keep_going: bool = False, read_everything: bool = False) -> EngineOptions:
        """How the engine is to go about its work."""
        from bundler.copy.engine import EngineOptions  # noqa: PLC0415 - not every command moves blobs

        return EngineOptions(
            self.executor,
            self.cancellation,
            self.emit,
            keep_going=keep_going,
            read_everything=read_everything,
            scratch=_scratch(),
        )

    def options(
        self,
        overrides: Mapping[str, RegistryOverride] | None = None,
        daemon_host: str | None = None,
        *,
        shared_blob_dir: Path | None = None,
        duplicate_blobs: bool = False,
    ) -> OpenOptions:
        """How to open a place; ``overrides`` by the host[:port] that the user named."""
        from bundler.ports import OpenOptions  # noqa: PLC0415 - after the arguments are known to be good

        return OpenOptions(
            settings(),
            overrides=overrides or {},
            duplicate_blobs=duplicate_blobs,
            daemon_host=daemon_host,
            shared_blob_dir=shared_blob_dir,
            scratch=_scratch(),
            cancellation=self.cancellation,
            emit=self.emit,
        )

    def opening(self, text: str, access: AccessOptions) -> OpenOptions:
        """How to open the place that the reference ``text`` names.

        Raises:
            UsageError: something was said that cannot concern such a place.
        """
        shared = access.shared_blob_dir
        if shared is not None and not text.startswith("oci:"):
            _refuse(f"{text[:200]!r} names no image layout that --shared-blob-dir could be for")
        host = daemon_host(text, access.daemon_host)
        return self.options(overrides(text, access), host, shared_blob_dir=shared)

    def admit(self) -> PolicyCheck | None:
        """Who decides whether an image is trusted; None: nobody, every image is.

        Raises:
            ConfigError: policy.json is not in order, or is missing where there has to be one.
        """
        from bundler.cli.runtime import policy  # noqa: PLC0415 - only who copies images asks

        return policy.admit(settings(), global_options.said())

    def retrying(self, retry: Retry, body: Callable[[], Result]) -> Result:
        """As ``bundler.cli.options.retry``, for all that this command does."""
        return retrying.retrying(retry, self.cancellation, self.emit, body)


@contextmanager
def running(jobs: int | None = None) -> Iterator[CommandContext]:
    """Stop on signals and show progress until the block ends; ``jobs`` threads do the work.

    Ask all questions before: they cannot be answered once the progress is shown.

    Raises:
        TimeLimitError: it took longer than ``--command-timeout``.
    """
    progress = frontend.current().showing(quiet=common.quiet())
    with interruptible(progress.last_words) as cancellation:
        try:
            with (
                _time_limit(global_options.said().command_timeout, cancellation),
                progress,
                _threads(jobs or DEFAULT_JOBS) as executor,
            ):
                yield CommandContext(cancellation, progress.emit, executor)
        except CancelledError:
            progress.last_words()
            raise


def overrides(text: str, access: AccessOptions) -> dict[str, RegistryOverride]:
    """The settings in ``access``, by the registry or engine that the reference ``text`` names.

    Raises:
        UsageError: an option for this side needs a registry, but ``text`` names none.
    """
    override = access.override()
    if override is None:
        return {}
    if text.startswith("docker-daemon:") and access.daemon_host is not None:
        return {access.daemon_host: override}
    transport, _, rest = text.partition("://")
    if transport != "docker":
        if access.given:
            _refuse(f"{text[:200]!r} names no registry that these options could be for")
        return {}
    from bundler.oci.reference import ImageReference  # noqa: PLC0415 - loads hashlib

    return {ImageReference.parse(rest).domain: override}


def daemon_host(text: str, host: str | None) -> str | None:
    """``host``, if the reference ``text`` names an image of a container engine.

    Raises:
        UsageError: it does not.
    """
    if host is not None and not text.startswith("docker-daemon:"):
        _refuse(f"{text[:200]!r} names no container engine that --daemon-host could be for")
        return None
    return host


def platform() -> Platform:
    """This machine's platform, or the one that the user wants in its place.

    An architecture that the user names comes without this machine's variant.
    """
    from bundler.cli.runtime import host_platform  # noqa: PLC0415 - loads the data model

    said, found = global_options.said(), host_platform.platform()
    if said.override_arch:
        found = replace(found, architecture=said.override_arch, variant=None)
    return replace(
        found,
        os=said.override_os or found.os,
        variant=said.override_variant or found.variant,
    )


def settings() -> Settings:
    """What the environment, the user's files and the program's flags say.

    Raises:
        ConfigError: a file that cannot be understood, or nobody knows where home is.
    """
    return _settings(global_options.said())


@cache
def _settings(said: ProgramOptions) -> Settings:
    """The same for one set of flags.

    Raises:
        ConfigError: a file that cannot be understood, or nobody knows where home is.
    """
    from bundler.config.paths import ConfigPathOverrides  # noqa: PLC0415 - not for --help
    from bundler.config.settings import Settings  # noqa: PLC0415 - not for --help

    try:
        home = Path.home()  # noqa: TID251 - the command line's task
    except RuntimeError:
        raise ConfigError("the home directory is unknown", hint="set HOME") from None
    environment = os.environ  # noqa: TID251 - the command line's task
    return Settings.load(
        environment,
        home,
        os.getuid(),
        ConfigPathOverrides(
            registries_conf=said.registries_conf,
            policy_json=said.policy,
            tls_details=said.tls_details,
        ),
        user_agent=said.full_user_agent,
    )


def _refuse(why: str) -> None:
    if not global_options.said().ignore_unused_options:
        raise UsageError(why)


def _scratch() -> Path | None:
    """Where the user wants temporary files; None: where each place sees fit."""
    if (said := global_options.said().tmpdir) is not None:
        return said
    folder = os.environ.get("TMPDIR")  # noqa: TID251 - the command line's task
    return Path(folder) if folder else None


@contextmanager
def _time_limit(seconds: float | None, cancellation: Cancellation) -> Iterator[None]:
    """Stop the block after so long; what stops it is told apart from the user's own Ctrl-C."""
    if not seconds:
        yield
        return
    import threading  # noqa: PLC0415 - few commands have a limit

    expired = threading.Event()

    def stop() -> None:
        expired.set()
        cancellation.request()

    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BundlerError as error:
        if not expired.is_set():
            raise
        raise TimeLimitError(
            seconds,
            hint="allow more with --command-timeout; what is in place stays, and a re-run resumes",
        ) from error
    finally:
        timer.cancel()


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not for --help

    executor = ThreadPoolExecutor(count, thread_name_prefix="job")
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
