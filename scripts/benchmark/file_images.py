"""Images whose layers contain the files of this machine, as a layout, for the rows of the audit."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from isal import igzip

from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARES = (3, 2, 1, 4, 2, 1, 1, 2)
"""The sizes of consecutive layers, repeated."""
UNIT = 0.025
"""The unit of ``SHARES`` as a share of the size of the benchmark."""
LAYERS = 5
"""The layers of an image; it shares all but the last two with the next one."""


def write_layout(directory: Path, size: int) -> list[str]:
    """Write images with distinct layers of about ``size`` compressed bytes; return their names."""
    blobs = directory / "blobs/sha256"
    blobs.mkdir(parents=True)
    layers: list[tuple[dict[str, Any], str]] = []
    files, total = _list_files(), 0
    while total < size:
        share = SHARES[len(layers) % len(SHARES)] * UNIT * size
        layers.append(_write_layer(blobs, files, len(layers), int(share)))
        total += layers[-1][0]["size"]
    entries = []
    for number, first in enumerate(range(0, max(1, len(layers) - LAYERS + 1), 2)):
        chosen = layers[first : first + LAYERS]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [diff_id for _, diff_id in chosen]},
        }
        body = {
            "schemaVersion": 2,
            "mediaType": images.OCI["manifest"],
            "config": _write_blob(blobs, images.OCI["config"], images.dump(config)),
            "layers": [descriptor for descriptor, _ in chosen],
        }
        entry = _write_blob(blobs, images.OCI["manifest"], images.dump(body))
        entries.append(entry | {"annotations": {"org.opencontainers.image.ref.name": f"v{number}"}})
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return [f"v{number}" for number in range(len(entries))]


def _list_files() -> Iterator[tuple[Path, int]]:
    """Yield files of this machine, again and again, each with the number of the round."""
    for number in range(100):
        for directory, folders, names in os.walk("/usr"):
            folders.sort()
            for name in sorted(names):
                path = Path(directory, name)
                if path.is_file() and not path.is_symlink():
                    yield path, number
    raise RuntimeError("too few files in /usr")


def _write_layer(
    blobs: Path, files: Iterator[tuple[Path, int]], number: int, size: int
) -> tuple[dict[str, Any], str]:
    """Write the next files as a layer of ``size`` bytes; return its descriptor and diff ID."""
    part = blobs / f"layer-{number}"
    with part.open("wb") as raw, igzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
        hashing = _HashingWriter(packed)
        with tarfile.open(fileobj=hashing, mode="w|", bufsize=1 << 20) as archive:
            while raw.tell() < size:
                path, round_ = next(files)
                folder = f"{round_}/" if round_ else ""
                entry = archive.gettarinfo(path, f"{folder}{path.relative_to('/')}")
                if not entry.isreg():  # tarfile makes a hard link of a file with several names
                    entry.type, entry.size = tarfile.REGTYPE, path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(entry, content)
    with part.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    descriptor = {
        "mediaType": images.OCI["gzip"],
        "digest": f"sha256:{digest}",
        "size": part.stat().st_size,
    }
    part.rename(blobs / digest)
    return descriptor, f"sha256:{hashing.hasher.hexdigest()}"


class _HashingWriter:
    """A file that hashes the bytes it passes to ``file``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.hasher = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.hasher.update(data)
        return self._file.write(data)


def _write_blob(blobs: Path, media_type: str, data: bytes) -> dict[str, Any]:
    blob = images.Blob(media_type, data)
    (blobs / blob.digest.removeprefix("sha256:")).write_bytes(data)
    return blob.descriptor()
