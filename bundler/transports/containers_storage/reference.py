"""What stands after ``containers-storage:``: which storage, and which image in it.

``[[DRIVER@]ROOT[+RUNROOT][:OPTION,…]]NAME[:TAG][@DIGEST][@ID]``, the first brackets being there or
not, the second ones as they stand. See containers-transports(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bundler.errors import InvalidReferenceError, MalformedError
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference

_HEX = re.compile(r"[0-9a-f]{3,64}")
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """The storage that a reference names; what is None stands in storage.conf."""

    driver: str | None
    root: Path
    run_root: Path | None = None
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        driver = "" if self.driver is None else f"{self.driver}@"
        run_root = "" if self.run_root is None else f"+{self.run_root}"
        options = f":{','.join(self.options)}" if self.options else ""
        return f"[{driver}{self.root}{run_root}{options}]"


@dataclass(frozen=True, slots=True)
class ImageName:
    """How an image is called: by name, by id, or by what may be either."""

    named: ImageReference | None
    """With a tag or a digest."""
    id: str | None = None
    """Or the beginning of one."""
    either: str | None = None
    """A name that is at the same time the beginning of an id; the id goes first."""

    def __str__(self) -> str:
        name = self.either or str(self.named or "")
        return f"{name}@{self.id}" if self.id else name


def split(text: str) -> tuple[StorageLocation | None, str]:
    """The storage that ``text`` names, if it does, and the rest.

    Raises:
        InvalidReferenceError: the brackets hold something else.
    """
    if not text.startswith("["):
        return None, text
    inner, bracket, rest = text[1:].partition("]")
    driver, at, place = inner.rpartition("@") if "@" in inner else ("", "", inner)
    place, colon, options = place.partition(":")
    root, _, run_root = place.partition("+")
    if not bracket or (at and not driver) or not root:
        raise InvalidReferenceError(
            f"containers-storage:{text[:200]}: no storage stands in the brackets",
            hint="write containers-storage:[DRIVER@ROOT+RUNROOT]NAME",
        )
    for path in (root, *([run_root] if run_root else [])):
        if not path.startswith("/") or "\0" in path:
            raise InvalidReferenceError(
                f"containers-storage:{text[:200]}: {path[:120]!r} is not an absolute path"
            )
    given = tuple(options.split(",")) if colon and options else ()
    found = StorageLocation(driver or None, Path(root), Path(run_root) if run_root else None, given)
    return found, rest


def parse_name(text: str) -> ImageName:
    """Read the part behind the storage.

    Raises:
        InvalidReferenceError: it is neither a name nor an id.
    """
    front, at, last = text.rpartition("@")
    image_id = None
    if at and not _is_digest(last):
        if _HEX.fullmatch(last) is None:
            raise InvalidReferenceError(
                f"containers-storage: {last[:120]!r} is neither a digest nor the id of an image"
            )
        text, image_id = front, last
    if not text:
        if image_id is None:
            raise InvalidReferenceError(
                "containers-storage: no image is named", hint="write containers-storage:NAME[:TAG]"
            )
        return ImageName(None, image_id)
    if image_id is None and _ID.fullmatch(text):
        return ImageName(None, text)
    named = ImageReference.parse(text).with_default_tag()
    either = text if image_id is None and _HEX.fullmatch(text) else None
    return ImageName(named, image_id, either)


def _is_digest(text: str) -> bool:
    try:
        Digest(text)
    except MalformedError:
        return False
    return True
