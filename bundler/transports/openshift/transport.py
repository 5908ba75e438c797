"""``atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG``: an image stream of OpenShift, known by name only.

Its images lie in OpenShift's registry, which ``docker:`` reads and writes as any other. What only
``atomic:`` can do, signatures through OpenShift's own API, is not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import InvalidReferenceError, UnsupportedError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from typing import NoReturn

    from bundler.ports import OpenOptions


@dataclass(frozen=True, slots=True)
class OpenShiftReference:
    """A tag of an image stream in a namespace."""

    image: ImageReference

    @property
    def transport(self) -> str:
        """``atomic``."""
        return "atomic"

    @property
    def name(self) -> str | None:
        """The tag."""
        return self.image.tag

    def __str__(self) -> str:
        return f"atomic:{self.image}"


class OpenShiftTransport:
    """``atomic:``; references are read, and then refused."""

    def parse(self, text: str, /) -> OpenShiftReference:
        """Read ``HOST[:PORT]/NAMESPACE/STREAM:TAG``."""
        image = ImageReference.parse(text)
        if image.tag is None or image.digest is not None or image.path.count("/") != 1:
            raise InvalidReferenceError(
                f"atomic:{text[:200]}: not the tag of an image stream",
                hint="write atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG",
            )
        return OpenShiftReference(image)

    def source(self, reference: OpenShiftReference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """Raise an UnsupportedError that says how to reach the same image."""
        _refuse(reference)

    def destination(self, reference: OpenShiftReference, options: OpenOptions, /) -> NoReturn:  # noqa: ARG002 - the port's form
        """As ``source``."""
        _refuse(reference)


def _refuse(reference: OpenShiftReference) -> NoReturn:
    raise UnsupportedError(
        f"{reference}: OpenShift's own API is not spoken here",
        hint=f"name the registry that it shows its images in: docker://HOST/{reference.image.path}"
        f":{reference.image.tag}",
    )


TRANSPORT = OpenShiftTransport()
