"""``ostree:``, which is recognised but not supported, as in current builds of Skopeo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UnavailableTransportError

if TYPE_CHECKING:
    from typing import NoReturn

    from bundler.ports import OpenOptions, Reference


class OstreeTransport:
    """The transport ``ostree:``; every method raises the same error."""

    def parse(self, text: str, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """Raise an ``UnavailableTransportError``."""
        raise UnavailableTransportError(
            "ostree", hint="use `ostree container image pull`, which reads docker:// and oci:"
        )

    def source(self, reference: Reference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - as above
        """Raise an ``UnavailableTransportError``."""
        self.parse(str(reference))

    destination = source


TRANSPORT = OstreeTransport()
