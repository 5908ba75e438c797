"""Images for the benchmark, created from files of this machine; the same in every run."""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
IMAGES, LAYERS = 20, 5
"""The images of ``push_two_versions``, and the layers of each."""
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


def push_two_versions(host: str, megabytes: int) -> int:
    """Push ``v1`` and ``v2`` of ``IMAGES``, which differ in one layer of each.

    Returns:
        The bytes of the blobs and manifests of ``v2`` that ``v1`` has not.
    """
    supply = Supply()
    size = megabytes * MB / IMAGES / LAYERS
    changed = 0
    for number in range(IMAGES):
        layers = [supply.layer(size) for _ in range(LAYERS)]
        first = images.image(*layers)
        layers[number % LAYERS] = supply.layer(size)
        second = images.image(*layers)
        for tag, image in {"v1": first, "v2": second}.items():
            images.push(host, f"image-{number}", image, tag)
        new = second.contents().items() - first.contents().items()
        changed += sum(len(data) for _, data in new)
    return changed


def write_large(directory: Path, size: int) -> None:
    """Write a layout with the image ``1``, whose only layer, a sparse file, has ``size`` zeros."""
    hasher, zeros = hashlib.sha256(), bytes(MB)
    for start in range(0, size, MB):
        hasher.update(zeros[: size - start])
    digest = f"sha256:{hasher.hexdigest()}"
    blob = _ZeroBlob(images.OCI["tar"], b"", digest, size)
    images.write_layout(directory, {"1": images.image(images.Layer(blob, digest))})
    with (directory / "blobs/sha256" / hasher.hexdigest()).open("wb") as file:
        file.truncate(size)


def write_many(directory: Path, blobs: int) -> list[str]:
    """Write a layout with ``blobs`` small layers; return the names of its images."""
    named = {
        f"v{number}": images.image(
            *(
                images.layer({"data": f"{number} {layer}".encode()})
                for layer in range(min(100, blobs - number * 100))
            )
        )
        for number in range((blobs + 99) // 100)
    }
    images.write_layout(directory, named)
    return list(named)


def write_uncompressed(directory: Path, megabytes: list[float]) -> None:
    """Write a layout with the image ``1``, whose uncompressed layers have the given sizes."""
    supply = Supply()
    layers = [supply.layer(size * MB, compression="tar") for size in megabytes]
    images.write_layout(directory, {"1": images.image(*layers)})


@dataclass(frozen=True, slots=True)
class _ZeroBlob(images.Blob):
    """A blob of zeros that is not in memory."""

    own_digest: str
    size: int

    @property
    def digest(self) -> str:
        return self.own_digest

    def descriptor(self, **more: object) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


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
