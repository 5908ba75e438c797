"""The options of ``sync`` for its source and destination."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options.group import option_group, spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.runtime.context import CommandRun
    from bundler.images.sync.sources import SourceKind, SyncSource
    from bundler.images.sync.targets import DestinationTransport, SyncDestination
    from bundler.ports import OpenOptions

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

_SOURCES = ("containers-storage", "dir", "docker", "docker-archive", "oci", "oci-archive", "yaml")
_DESTINATIONS = ("containers-storage", "dir", "docker", "oci", "oci-archive")
DEFAULT_JOBS = 8
"""Small images are more questions than bytes, and most of the time is waiting for answers."""

_REMOTE = ("docker", "yaml")


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What the command line says of both ends."""

    source_kind: SourceKind
    destination_kind: DestinationTransport
    scoped: bool = False
    suffix: str = ""
    moves: tuple[str, ...] = ()

    def question(self, text: str, access: AccessOptions) -> SyncSource:
        """Where to look for images."""
        from bundler.images.sync.sources import SyncSource  # noqa: PLC0415 - not for --help

        said = access.override() if self.source_kind in _REMOTE else None
        return SyncSource(self.source_kind, text, said)

    def create_destination(self, text: str) -> SyncDestination:
        """Return the destination, with the mapping of target names."""
        from bundler.copy.target_names import NameMapping, parse_rules  # noqa: PLC0415 - as above
        from bundler.images.sync.targets import SyncDestination  # noqa: PLC0415 - not for --help

        names = NameMapping(
            parse_rules(self.moves), "full" if self.scoped else "basename", suffix=self.suffix
        )
        return SyncDestination(self.destination_kind, text, names)

    def reading(self, run: CommandRun, text: str, access: AccessOptions) -> OpenOptions:
        """How to open the sources; what was said of registries goes with the question."""
        if self.source_kind in _REMOTE:
            return run.open_options()
        text = f"{self.source_kind}:{text}"
        return run.open_options_for(text, access.settings_for(text))

    def writing(self, run: CommandRun, text: str, access: AccessOptions) -> OpenOptions:
        """How to open the destination; ``text`` is the front of a reference there."""
        if self.destination_kind == "docker":
            text = f"//{text.rstrip('/')}/image"
        text = f"{self.destination_kind}:{text}"
        return run.open_options_for(text, access.settings_for(text))


def endpoints(function: Decorated) -> Decorated:
    """Add the options of source and destination; their values are in ``endpoints``."""
    return option_group(SyncOptions, "endpoints", "Source and destination", _OPTIONS)(function)


_OPTIONS = {
    "source_kind": spec(
        "-s",
        "--src",
        required=True,
        type=click.Choice(_SOURCES),
        help="Transport of SOURCE, or yaml.",
    ),
    "destination_kind": spec(
        "-d",
        "--dest",
        required=True,
        type=click.Choice(_DESTINATIONS),
        help="Transport of DESTINATION.",
    ),
    "scoped": spec(
        "--scoped", is_flag=True, help="Keep the source registry and path in target names."
    ),
    "suffix": spec(
        "--append-suffix", default="", metavar="TEXT", help="Append TEXT to each target name."
    ),
    "moves": spec(
        "--names",
        multiple=True,
        metavar="FROM=TO",
        help="Replace the prefix FROM of references by TO. May be repeated.",
    ),
}
