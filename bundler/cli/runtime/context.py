"""The context and the run of a command.

The front end passes a ``CommandContext`` to every command: environment, global options, settings.
``CommandContext.run`` starts the work, with cancellation by signals, progress and threads.
"""

from __future__ import annotations

import functools
import os
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

import click

from bundler import __version__
from bundler.cancel import Cancellation
from bundler.cli.options.command import GlobalOptions, read_global_options
from bundler.cli.runtime.signals import handle_signals
from bundler.errors import BundlerError, CancelledError, RegistryError, TimeLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from bundler.cli.frontends.frontend import Frontend
    from bundler.cli.runtime.environment import Environment
    from bundler.config.paths import ConfigPathOverrides
    from bundler.config.policy_json import Policy
    from bundler.config.registry_access import RegistryOverride
    from bundler.config.settings import Settings
    from bundler.copy.engine import EngineOptions
    from bundler.events import Emit
    from bundler.oci.platform import Platform
    from bundler.ports import OpenOptions, TransportOptions
    from bundler.signature_ports import PolicyCheck

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

DEFAULT_JOBS = 6
"""The number of blobs transferred in parallel; other tools have the same default."""

_LOADING = threading.Lock()

_ARCHITECTURES = {
    "x86_64": ("amd64", None),
    "aarch64": ("arm64", "v8"),
    "arm64": ("arm64", "v8"),
    "armv5tel": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v8"),
    "i386": ("386", None),
    "i586": ("386", None),
    "i686": ("386", None),
    "loongarch64": ("loong64", None),
}
"""Architecture and variant by the kernel's machine name; other names are used unchanged."""


@dataclass(frozen=True)
class CommandContext:
    """Environment, front end, global options and settings of one command."""

    environment: Environment
    frontend: Frontend
    options: GlobalOptions
    user_agent: str | None = None
    """The ``User-Agent`` of requests; None: airbundle's own."""
    trusts_named_hosts: bool = False
    """Whether all hosts that a registry names belong to it, as in Skopeo."""
    lenient: bool = False
    """Whether sources, see ``OpenOptions``, and registries.d are read as Skopeo reads them."""
    patience: float | None = None
    """How long registries may be unavailable, in seconds; None: the default."""
    rate_limit_patience: float | None = None
    """How long requests that exceed the rate limit are repeated; None: the default."""
    policy_required: bool = False
    """Whether a missing policy.json is an error; otherwise, every image is accepted without one."""
    cancellation: Cancellation = field(default_factory=Cancellation, compare=False)
    """The cancellation of the command; during a ``run``, signals request it."""

    @property
    def scratch(self) -> Path | None:
        """The directory for temporary files; None if each transport chooses its own."""
        return self.options.tmpdir or self.environment.find_path("TMPDIR")

    @property
    def settings(self) -> Settings:
        """The user's configuration, loaded once, from the environment, files and global options.

        Raises:
            ConfigError: a file is invalid, or the home directory is unknown.
        """
        with _LOADING:  # several threads open sources, and a credential helper runs only once
            return self._settings

    @functools.cached_property
    def _settings(self) -> Settings:
        from bundler.config.settings import Settings  # noqa: PLC0415 - not for --help

        user_agent, prefix = self.user_agent, self.options.user_agent_prefix
        if prefix:
            user_agent = f"{prefix} {user_agent or f'airbundle/{__version__}'}"
        return Settings.load(
            self.environment.variables,
            self.environment.home,
            self.environment.uid,
            self._path_overrides,
            user_agent=user_agent,
            trusts_named_hosts=self.trusts_named_hosts,
            ignores_unknown_keys=self.lenient,
            patience=self.patience,
            rate_limit_patience=self.rate_limit_patience,
        )

    def load_policy(self) -> Policy | None:
        """Read policy.json; return None if there is none, or if it is ignored.

        Raises:
            PolicyFileError: policy.json is invalid, or is required and missing.
            ConfigError: the home directory is unknown.
        """
        if self.options.insecure_policy:
            return None
        from bundler.config import paths, policy_json  # noqa: PLC0415 - only for copying images

        environment = self.environment
        found = paths.locate(
            environment.variables, environment.home, environment.uid, self._path_overrides
        )
        policy = policy_json.load(found)
        require_signed = self.options.require_signed
        if policy is None and (self.policy_required or require_signed):
            from bundler.errors import PolicyFileError  # noqa: PLC0415 - only for errors

            raise PolicyFileError(
                "policy.json: no such file (expected one of"
                f" {', '.join(map(str, found.policy_json))})",
                hint="create one, specify one with --policy, or accept every image with "
                "--insecure-policy",
            )
        return policy

    def ignores_policy_file(self) -> bool:
        """Whether a policy.json exists that ``--insecure-policy`` ignores.

        Raises:
            ConfigError: the home directory is unknown.
        """
        if not self.options.insecure_policy:
            return False
        from bundler.config import paths  # noqa: PLC0415 - not for --help

        environment = self.environment
        found = paths.locate(
            environment.variables, environment.home, environment.uid, self._path_overrides
        )
        return any(path.exists() for path in found.policy_json)

    @property
    def _path_overrides(self) -> ConfigPathOverrides:
        from bundler.config.paths import ConfigPathOverrides  # noqa: PLC0415 - not for --help

        return ConfigPathOverrides(
            registries_conf=self.options.registries_conf,
            policy_json=self.options.policy,
            registries_d=self.options.registries_d,
            tls_details=self.options.tls_details,
        )

    def detect_platform(self) -> Platform:
        """Return the platform of this machine, or the platform given by ``--override-*``.

        An overridden architecture has no variant unless the variant is overridden too.
        """
        options, system = self.options, os.uname()
        platform = create_platform(system.sysname, system.machine)
        if options.override_arch:
            platform = replace(platform, architecture=options.override_arch, variant=None)
        return replace(
            platform,
            os=options.override_os or platform.os,
            variant=options.override_variant or platform.variant,
        )

    @contextmanager
    def run(self, jobs: int | None = None) -> Iterator[CommandRun]:
        """Run the block with cancellation by signals, a progress display and ``jobs`` threads.

        Prompt the user before this call: a prompt would disturb the progress display.

        Raises:
            TimeLimitError: if the block takes longer than ``--command-timeout``.
        """
        from bundler.events import discard  # noqa: PLC0415 - not for --help

        progress = self.frontend.show_progress(quiet=self.options.quiet)
        show_interruption = progress.show_interruption if progress else lambda: None
        emit = progress.emit if progress else discard
        with handle_signals(self.cancellation, show_interruption, self.frontend.report_error):
            try:
                with (
                    _time_limit(self.options.command_timeout, self.cancellation),
                    progress or nullcontext(),
                    ExitStack() as threads,
                ):
                    yield CommandRun(self, self.cancellation, emit, jobs or DEFAULT_JOBS, threads)
            except CancelledError:
                show_interruption()
                raise


def create_platform(system: str, machine: str) -> Platform:
    """Return the platform for the names that ``uname`` prints."""
    from bundler.oci.platform import Platform  # noqa: PLC0415 - not for --help

    architecture, variant = _ARCHITECTURES.get(machine, (machine, None))
    return Platform(system.lower(), architecture, variant)


def pass_context(
    function: Callable[Concatenate[CommandContext, Parameters], Result],
) -> Callable[Parameters, Result]:
    """Decorate a click command: pass its ``CommandContext`` as the first argument.

    The ``obj`` of the click context must be the front end.
    """

    @functools.wraps(function)
    def call(*arguments: Parameters.args, **given: Parameters.kwargs) -> Result:
        parsed = click.get_current_context()
        frontend: Frontend = parsed.obj
        context = CommandContext(frontend.environment, frontend, read_global_options(parsed))
        try:
            return function(context, *arguments, **given)
        except RegistryError as error:
            from bundler.cli.output.hints import complete_hint  # noqa: PLC0415 - only for errors

            complete_hint(error, parsed)
            raise

    return call


@dataclass(frozen=True, slots=True)
class CommandRun:
    """The run of a command: its cancellation, events and threads."""

    context: CommandContext
    cancellation: Cancellation
    emit: Emit
    jobs: int
    """The number of threads that transfer blobs."""
    threads: ExitStack
    """Closed at the end of the run, which ends the threads."""

    def create_engine_options(
        self, *, keep_going: bool = False, read_everything: bool = False
    ) -> EngineOptions:
        """Return the options of the copy engine, with threads that end with the run."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for blobs only

        from bundler.copy.engine import EngineOptions  # noqa: PLC0415 - as above

        executor = ThreadPoolExecutor(self.jobs, thread_name_prefix="job")
        self.threads.callback(executor.shutdown, wait=False, cancel_futures=True)
        return EngineOptions(
            executor,
            self.cancellation,
            self.emit,
            keep_going=keep_going,
            read_everything=read_everything,
            scratch=self.context.scratch,
        )

    def create_policy_check(self) -> PolicyCheck | None:
        """Return the check that every image has to pass; None if all images are accepted.

        Raises:
            PolicyFileError: policy.json is invalid, or is required and missing.
        """
        policy, require_signed = self.context.load_policy(), self.context.options.require_signed
        if policy is None or (policy.accepts_everything and not require_signed):
            return None
        from bundler.cli.runtime.policy_file import PolicyFileCheck  # noqa: PLC0415 - rarely needed

        return PolicyFileCheck(
            policy,
            self.cancellation,
            self.threads,
            require_signed=require_signed,
        )

    def create_open_options(
        self,
        overrides: Mapping[str, RegistryOverride] | None = None,
        transport_options: Iterable[TransportOptions] = (),
    ) -> OpenOptions:
        """Return the options for opening sources and destinations.

        ``overrides`` are settings by the registry's host[:port], as the user wrote it.
        """
        from bundler.ports import OpenOptions  # noqa: PLC0415 - not before the arguments are checked

        return OpenOptions(
            lambda: self.context.settings,
            overrides=overrides or {},
            transport_options=tuple(transport_options),
            scratch=self.context.scratch,
            lenient=self.context.lenient,
            time_limit=self.context.options.command_timeout,
            cancellation=self.cancellation,
            emit=self.emit,
        )

    def create_open_options_for(self, text: str, access: AccessSettings) -> OpenOptions:
        """Return the options for opening the reference ``text``."""
        return self.create_open_options(
            access.find_overrides(text), access.transport_options.values()
        )


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """The settings for access to a source or destination."""

    registry: RegistryOverride | None = None
    """The settings for its registry; None if unset."""
    transport_options: Mapping[str, TransportOptions] = field(default_factory=dict)
    """Transport-specific options, by command-line option."""

    @classmethod
    def create(
        cls,
        registry: RegistryOverride | None,
        daemon_host: str | None,
        shared_blob_dir: Path | None,
    ) -> Self:
        """Create the settings; TLS settings also apply to connections to a container engine."""
        options: dict[str, TransportOptions] = {}
        if shared_blob_dir is not None:
            from bundler.transports.oci_layout.transport import LayoutOptions  # noqa: PLC0415

            options["--shared-blob-dir"] = LayoutOptions(shared_blob_dir)
        if daemon_host is not None:
            from bundler.transports.docker_daemon.transport import DaemonOptions  # noqa: PLC0415

            options["--daemon-host"] = DaemonOptions(
                daemon_host,
                tls_verify=registry is None or registry.tls_verify is not False,
                cert_dir=None if registry is None else registry.cert_dir,
            )
        return cls(registry, options)

    def find_overrides(self, text: str) -> dict[str, RegistryOverride]:
        """Return the settings for the registry of the reference ``text``, by registry, if any."""
        if self.registry is None:
            return {}
        from bundler import transports  # noqa: PLC0415 - not for --help

        host = transports.find_registry_host(text)
        return {} if host is None else {host: self.registry}


@contextmanager
def _time_limit(seconds: float | None, cancellation: Cancellation) -> Iterator[None]:
    """Cancel the block after ``seconds``; raise TimeLimitError, not CancelledError."""
    if not seconds:
        yield
        return
    import threading  # noqa: PLC0415 - few commands have a limit

    expired = threading.Event()

    def expire() -> None:
        expired.set()
        cancellation.request()

    timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BundlerError as error:
        if not expired.is_set():
            raise
        keeps_blobs = isinstance(error, CancelledError) and error.keeps_blobs
        hint = "increase --command-timeout"
        if keeps_blobs:
            hint += "; a new run reuses the content that is already present"
        raise TimeLimitError(seconds, hint=hint) from error
    finally:
        timer.cancel()
