"""``atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG``: an image stream of OpenShift.

References are parsed, but sources and destinations are refused: ``docker:`` reads and writes the
registry that stores the images. Signatures in OpenShift's own API are not supported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bundler.errors import InvalidReferenceError, UnsupportedError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from typing import NoReturn

    from bundler.ports import OpenOptions


@dataclass(frozen=True, slots=True)
class OpenShiftReference:
    """``atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG``."""

    transport: ClassVar = "atomic"
    image: ImageReference

    @property
    def name(self) -> str | None:
        """Return the tag."""
        return self.image.tag

    def __str__(self) -> str:
        return f"atomic:{self.image}"


class OpenShiftTransport:
    """The transport ``atomic:``."""

    def parse(self, text: str, /) -> OpenShiftReference:
        """Parse ``HOST[:PORT]/NAMESPACE/STREAM:TAG``.

        Raises:
            InvalidReferenceError: ``text`` is not the tag of an image stream.
        """
        image = ImageReference.parse(text)
        if image.tag is None or image.digest is not None or image.path.count("/") != 1:
            raise InvalidReferenceError(
                f"atomic:{text[:200]}: not the tag of an image stream",
                hint="write atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG",
            )
        return OpenShiftReference(image)

    def source(self, reference: OpenShiftReference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """Raise an ``UnsupportedError``; its hint is the ``docker:`` reference of the image."""
        image = f"{reference.image.path}:{reference.image.tag}"
        raise UnsupportedError(
            f"{reference}: the image API of OpenShift is not supported",
            hint=f"specify the registry that stores its images: docker://HOST/{image}",
        )

    destination = source


TRANSPORT = OpenShiftTransport()
