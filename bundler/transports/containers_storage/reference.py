"""References of ``containers-storage:``.

``[[DRIVER@]ROOT[+RUNROOT][:OPTION,…]]NAME[:TAG][@DIGEST][@ID]``; the brackets around the storage
are literal, and all others mark optional parts. See containers-transports(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bundler.errors import InvalidReferenceError, MalformedError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEX = re.compile(r"[0-9a-f]{3,64}")
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """The storage in a reference; storage.conf supplies each value that is None."""

    driver: str | None
    root: Path
    run_root: Path | None = None
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        driver = "" if self.driver is None else f"{self.driver}@"
        run_root = "" if self.run_root is None else f"+{self.run_root}"
        options = f":{','.join(self.options)}" if self.options else ""
        return f"[{driver}{self.root}{run_root}{options}]"

    def parse_options(self) -> Mapping[str, str]:
        """Return the driver options by name, such as ``overlay.mount_program``.

        Raises:
            UsageError: an option has no value.
        """
        parsed = {}
        for option in self.options:
            key, equals, value = option.partition("=")
            if not equals:
                raise UsageError(
                    f"containers-storage: no value for the option {option[:80]!r}",
                    hint="write NAME=VALUE, such as overlay.mount_program=/usr/bin/fuse-overlayfs",
                )
            parsed[key.strip().removeprefix("storage.").lower()] = value.strip()
        return parsed


@dataclass(frozen=True, slots=True)
class ImageName:
    """The part of a reference that identifies an image: a name, an ID, or both."""

    reference: ImageReference | None
    """The name, with a tag or a digest; None if only an ID is given."""
    id: str | None = None
    """An image ID or a prefix of one."""
    possible_id: str | None = None
    """A name that may also be an ID prefix; an image with such an ID takes precedence."""

    def __str__(self) -> str:
        name = self.possible_id or str(self.reference or "")
        return f"{name}@{self.id}" if self.id else name


@dataclass(frozen=True, slots=True)
class StorageReference:
    """``containers-storage:[[DRIVER@]ROOT[+RUNROOT][:OPTIONS]]NAME[@ID]`` or ``…@ID``."""

    transport: ClassVar = "containers-storage"
    location: StorageLocation | None
    """The storage; None: the one that storage.conf specifies."""
    image_name: ImageName

    @property
    def name(self) -> str:
        """The image without its storage."""
        return str(self.image_name)

    @property
    def image(self) -> ImageReference | None:
        """The name; None if only an ID is given."""
        return self.image_name.reference

    def __str__(self) -> str:
        return f"containers-storage:{self.location or ''}{self.image_name}"


def parse(text: str) -> StorageReference:
    """Parse the part of a reference after ``containers-storage:``.

    Raises:
        InvalidReferenceError: the storage or the name is invalid.
    """
    if not text.startswith("["):
        return StorageReference(None, parse_image_name(text))
    storage, bracket, name = text[1:].partition("]")
    driver, at, paths = storage.rpartition("@")
    paths, _, options = paths.partition(":")
    root, _, run_root = paths.partition("+")
    if not bracket or (at and not driver) or not root:
        raise InvalidReferenceError(
            f"containers-storage:{text[:200]}: invalid storage in the brackets",
            hint="write containers-storage:[DRIVER@ROOT+RUNROOT]NAME",
        )
    for path in filter(None, (root, run_root)):
        if not path.startswith("/") or "\0" in path:
            raise InvalidReferenceError(
                f"containers-storage:{text[:200]}: expected an absolute path, got {path[:120]!r}"
            )
    location = StorageLocation(
        driver or None,
        Path(root),
        Path(run_root) if run_root else None,
        tuple(options.split(",")) if options else (),
    )
    return StorageReference(location, parse_image_name(name))


def parse_image_name(text: str) -> ImageName:
    """Parse ``NAME[:TAG][@DIGEST][@ID]``, the part of a reference after the storage.

    Raises:
        InvalidReferenceError: ``text`` is neither a name nor an ID.
    """
    front, at, last = text.rpartition("@")
    image_id = None
    if at:
        try:
            Digest(last)
        except MalformedError as error:
            if _HEX.fullmatch(last) is None:
                raise InvalidReferenceError(
                    f"containers-storage: {last[:120]!r} is neither a digest nor an image ID"
                ) from error
            text, image_id = front, last
    if not text:
        if image_id is None:
            raise InvalidReferenceError(
                "containers-storage: no image name given",
                hint="write containers-storage:NAME[:TAG]",
            )
        return ImageName(None, image_id)
    if image_id is None and _ID.fullmatch(text):
        return ImageName(None, text)
    reference = ImageReference.parse(text).with_default_tag()
    possible_id = text if image_id is None and _HEX.fullmatch(text) else None
    return ImageName(reference, image_id, possible_id)
