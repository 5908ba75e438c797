"""What an import did, or would do: told to its user, and kept as its receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import PartialError
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.format.authenticate import OpenedBundle
    from bundler.bundle.format.inventory import BundledImage
    from bundler.copy.plan import Plan
    from bundler.ports import Holdings

Action = Literal["new", "same", "replaced", "skipped", "conflict", "failed"]


@dataclass(frozen=True, slots=True)
class ImportedImage:
    """The result for one image; in a dry run, the expected one."""

    image: BundledImage
    name: str
    """The full name at the target."""
    action: Action
    former: str | None = None
    """The digest that the name stood for before, where that was another one."""
    error: str | None = None
    """Why it did not arrive."""

    def to_json(self) -> dict[str, Any]:
        """The same for machines; ``former`` and ``error`` only where there is one."""
        value = {
            "reference": str(self.image.reference),
            "name": self.name,
            "digest": self.image.digest.text,
            "action": self.action,
        }
        if self.former:
            value["former"] = self.former
        if self.error:
            value["error"] = self.error
        return value


@dataclass(frozen=True, slots=True)
class ImportReport:
    """All of it; times are UTC."""

    opened: OpenedBundle
    target: str
    images: tuple[ImportedImage, ...]
    plan: Plan[Holdings]
    started: datetime
    ended: datetime

    @property
    def failed(self) -> tuple[ImportedImage, ...]:
        """The images that did not arrive."""
        return tuple(image for image in self.images if image.action == "failed")

    def check(self) -> None:
        """Return if every image arrived.

        Raises:
            PartialError: some did not.
        """
        if self.failed:
            lines = [f"{line.name}: {line.error}" for line in self.failed]
            raise PartialError("not everything arrived", lines)

    def to_json(self) -> dict[str, Any]:
        """The receipt; sizes in bytes."""
        contents = self.opened.contents
        return {
            "_type": "airbundle/receipt/v1",
            "stream": contents.stream,
            "serial": contents.serial,
            "inventory": Digest.of(self.opened.raw).text,
            "signedBy": [key.id for key in self.opened.signers],
            "target": self.target,
            "started": timestamps.format_utc(self.started),
            "ended": timestamps.format_utc(self.ended),
            "complete": contents.complete and not self.failed,
            "bytes": {
                "pushed": self.plan.size("push"),
                "present": self.plan.size("present"),
                "mounted": self.plan.size("mount"),
            },
            "images": [image.to_json() for image in self.images],
        }
