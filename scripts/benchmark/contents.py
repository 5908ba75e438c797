"""Images for the benchmark, created from files of this machine; the same in every run."""

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
# Shares of the unique bytes: common to all images, per application, and per version.
BASE, APPLICATION, VERSION = (30, 60, 110), (40, 80, 130), (5, 15)
UNIQUE = sum(BASE) + APPLICATIONS * (sum(APPLICATION) + VERSIONS * sum(VERSION))
ONE_IMAGE = 300 / 1600
"""The share of the separate image ``single:1``."""


def fill(host: str, megabytes: int) -> None:
    """Push ``megabytes`` of unique layers as versions of applications, and one separate image."""
    fill_with_applications(host, megabytes)
    push_one(host, "single", [megabytes * ONE_IMAGE * share / 6 for share in (1, 2, 3)])


def fill_with_applications(host: str, megabytes: int) -> None:
    """Push the images listed in ``NAMES``."""
    supply = Supply()
    unit = megabytes * MB / UNIQUE
    base = [supply.layer(n * unit) for n in BASE]
    for number in range(APPLICATIONS):
        own = [supply.layer(n * unit) for n in APPLICATION]
        for version in range(VERSIONS):
            last = [supply.layer(n * unit) for n in VERSION]
            image = images.image(*base, *own, *last)
            images.push(host, f"app-{number}", image, f"v{version}")


def push_one(host: str, name: str, megabytes: list[float]) -> None:
    """Push ``name:1``, an image whose layers have the given sizes."""
    supply = Supply()
    images.push(host, name, images.image(*(supply.layer(size * MB) for size in megabytes)), "1")


def write_uncompressed(directory: Path, megabytes: list[float]) -> None:
    """Write a layout with the image ``1``, whose uncompressed layers have the given sizes."""
    supply = Supply()
    layers = [supply.layer(size * MB, compression="tar") for size in megabytes]
    images.write_layout(directory, {"1": images.image(*layers)})


class Supply:
    """Bytes for layers: files of this machine, then random bytes."""

    def __init__(self) -> None:
        self._pieces = self._all_pieces()
        self._rest = b""

    def layer(self, size: float, *, compression: str = "stored") -> images.Layer:
        """Return the next ``size`` bytes as a layer, ``stored`` in gzip, or as plain ``tar``."""
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
