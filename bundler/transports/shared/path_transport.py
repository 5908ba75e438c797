"""Transport base class for references that begin with a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.transports.shared.path_reference import PathReference, refuse_index
from bundler.transports.shared.transport_hint import add_transport_hint

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.ports import Destination, OpenOptions, Source


@dataclass(frozen=True, slots=True)
class PathTransport:
    """A transport whose sources and destinations are opened by path."""

    parse: Callable[[str], PathReference]
    open_source: Callable[[Path, OpenOptions], Source]
    open_destination: Callable[[Path, OpenOptions], Destination]

    def source(self, reference: PathReference, options: OpenOptions, /) -> Source:
        """Open the path for reading; the hint of an error suggests a transport that can read it."""
        path = Path(reference.path)
        with add_transport_hint(path, reference.transport):
            return self.open_source(path, options)

    def destination(self, reference: PathReference, options: OpenOptions, /) -> Destination:
        """Open the path for writing, with a lock.

        Raises:
            UnsupportedError: the name is ``@N``, which is allowed for sources only.
        """
        refuse_index(reference)
        return self.open_destination(Path(reference.path), options)
