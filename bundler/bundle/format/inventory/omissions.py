"""Omissions: content of images that is not in their bundle.

Every report that states what a bundle contains lists them: foreign layers that the source did not
have, and referrers that were left behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from bundler.bundle.format.inventory import absent_layers
from bundler.errors import shortlist

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Omissions:
    """The omissions of several images, each with the reference of its image."""

    layers: tuple[tuple[str, Descriptor], ...] = ()
    """Foreign layers that are not in the bundle."""
    referrers: tuple[tuple[str, str], ...] = ()
    """Tags or digests of referrers, and names of signatures, that are not in the bundle."""

    @classmethod
    def of(cls, images: Iterable[BundledImage]) -> Self:
        """Return the omissions that the entries of ``images`` in an inventory list."""
        entries = [(str(image.reference), image) for image in images]
        return cls(
            tuple((name, layer) for name, image in entries for layer in image.absent_layers or ()),
            tuple((name, referrer) for name, image in entries for referrer in image.left_behind),
        )

    def describe(self) -> list[str]:
        """Describe each omission on one line, with the images that it belongs to."""
        layers: dict[Digest, tuple[Descriptor, list[str]]] = {}
        for name, layer in self.layers:
            layers.setdefault(layer.digest, (layer, []))[1].append(name)
        lines = [
            f"{shortlist(names)}: {absent_layers.describe(layer)}"
            for layer, names in layers.values()
        ]
        for name, item in self.referrers:
            # A signature is listed as <algorithm>=<hex>/signature-<n>.
            kind = "signature" if "/signature-" in item else "referrer"
            lines.append(f"{name}: {kind} {item}")
        return [f"not in the bundle: {line}" for line in lines]

    def to_json(self) -> dict[str, Any]:
        """Return the members ``absentLayers`` and ``leftBehind`` of a report, unless empty."""
        members = {
            "absentLayers": [
                {"reference": name, **absent_layers.to_json(layer)} for name, layer in self.layers
            ],
            "leftBehind": [
                {"reference": name, "referrer": referrer} for name, referrer in self.referrers
            ],
        }
        return {name: entries for name, entries in members.items() if entries}
