"""The directory in which the contents of layers are kept for the next command."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options.common import PATH
from bundler.cli.options.option import OWN_SECTION, option_group, refuse_conflicts, spec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.bundle.audit.layers.contents_cache import ContentsCache
    from bundler.cli.runtime.context import CommandContext


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The directory; None: the default one."""

    directory: Path | None = None
    disabled: bool = False

    @contextmanager
    def open(
        self, context: CommandContext, *, is_needed: bool = True
    ) -> Iterator[ContentsCache | None]:
        """Open the cache; None if it is not needed or disabled, or the default one is unusable.

        A default directory that other users can write is reported, and not used.

        Raises:
            UsageError: the options conflict.
            ConfigError, MediumError, NotFoundError: the given directory cannot be used.
        """
        refuse_conflicts({"--cache": self.directory, "--no-cache": self.disabled})
        if self.disabled or not is_needed:
            yield None
            return
        from bundler.bundle.audit.layers.contents_cache import ContentsCache  # noqa: PLC0415 - not for --help
        from bundler.cli.output import text  # noqa: PLC0415 - as above
        from bundler.config.paths import locate_cache  # noqa: PLC0415 - as above
        from bundler.errors import ConfigError, MediumError, NotFoundError  # noqa: PLC0415 - as above

        try:
            environment = context.environment
            path = self.directory or locate_cache(environment.variables, environment.home, "layers")
            cache = ContentsCache.open(path)
        except (MediumError, NotFoundError):
            if self.directory is not None:
                raise
            yield None
            return
        except ConfigError as error:
            if self.directory is not None:
                raise
            if not context.options.quiet:
                text.print_note(f"{error} ({error.hint})")
            yield None
            return
        with cache:
            yield cache


cache_options = option_group(
    CacheOptions,
    "cache",
    OWN_SECTION,
    {
        "directory": spec(
            "--cache",
            type=PATH,
            metavar="DIRECTORY",
            help="Keep what is read of each layer in DIRECTORY, and do not decompress it again"
            " (default: airbundle in the cache directory). Its digest is always verified.",
        ),
        "disabled": spec(
            "--no-cache", is_flag=True, help="Read all layers again, and keep nothing of them."
        ),
    },
)
"""``--cache`` and ``--no-cache``; their values are in ``cache``."""
