"""``ostree:``: known by name only; no build of Skopeo today can read or write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UnavailableTransportError

if TYPE_CHECKING:
    from typing import NoReturn

    from bundler.ports import OpenOptions, Reference


class OstreeTransport:
    """``ostree:``; whatever is asked of it is refused in the same words."""

    def parse(self, text: str, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """Raise an UnavailableTransportError."""
        raise UnavailableTransportError(
            "ostree", hint="ostree container image pull reads docker:// and oci: by itself"
        )

    def source(self, reference: Reference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - as above
        """As ``parse``."""
        self.parse(str(reference))

    def destination(self, reference: Reference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - as above
        """As ``parse``."""
        self.parse(str(reference))


TRANSPORT = OstreeTransport()
