"""The images that are moved: made of this machine's own files, the same in every run."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark.table import MB
from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATIONS, VERSIONS = 4, 5
NAMES = [
    f"app-{number}:v{version}" for number in range(APPLICATIONS) for version in range(VERSIONS)
]
# Shares of the unique bytes: what all images have, each application, and each version of it.
BASE, APPLICATION, VERSION = (30, 60, 110), (40, 80, 130), (5, 15)
UNIQUE = sum(BASE) + APPLICATIONS * (sum(APPLICATION) + VERSIONS * sum(VERSION))
ONE_IMAGE = 300 / 1600
"""The share of the one image that lies apart, as ``single:1``."""


def fill(host: str, megabytes: int) -> None:
    """Push ``megabytes`` of unique layers as versions of applications, and one image apart."""
    fill_with_applications(host, megabytes)
    push_one(host, "single", [megabytes * ONE_IMAGE * share / 6 for share in (1, 2, 3)])


def fill_with_applications(host: str, megabytes: int) -> None:
    """Push the images that ``NAMES`` lists."""
    supply = Supply()
    unit = megabytes * MB / UNIQUE
    base = [supply.layer(n * unit) for n in BASE]
    for number in range(APPLICATIONS):
        own = [supply.layer(n * unit) for n in APPLICATION]
        for version in range(VERSIONS):
            last = [supply.layer(n * unit) for n in VERSION]
            one = images.image(*base, *own, *last)
            images.push(host, f"app-{number}", one, f"v{version}")


def push_one(host: str, name: str, megabytes: list[float]) -> None:
    """Push ``name:1``, an image with layers of these sizes."""
    supply = Supply()
    images.push(host, name, images.image(*(supply.layer(size * MB) for size in megabytes)), "1")


def write_uncompressed(directory: Path, megabytes: list[float]) -> None:
    """Write a layout with the image ``1``, whose layers of these sizes are not compressed."""
    supply = Supply()
    layers = [supply.layer(size * MB, compression="tar") for size in megabytes]
    images.write_layout(directory, {"1": images.image(*layers)})


class Supply:
    """Bytes for layers: the machine's own files, and random ones when these are used up."""

    def __init__(self) -> None:
        self._pieces = self._all_pieces()
        self._rest = b""

    def layer(self, size: float, *, compression: str = "stored") -> images.Layer:
        """The next ``size`` bytes as a layer; ``stored`` in its gzip as they are, or a ``tar``."""
        data = bytearray(self._rest)
        while len(data) < size:
            data += next(self._pieces)
        self._rest = bytes(data[int(size) :])
        return images.layer({"data": bytes(data[: int(size)])}, compression=compression)

    def _all_pieces(self) -> Iterator[bytes]:
        for directory, _, names in os.walk("/usr/lib"):
            for name in names:
                path = Path(directory, name)
                if path.is_file() and not path.is_symlink():
                    yield path.read_bytes()
        source = random.Random("airbundle")
        while True:
            yield source.randbytes(MB)
