"""Records of a year of imports, for the row that searches them; the same in every run."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import zstandard

from bundler.bundle.records import site
from bundler.bundle.records.evidence import document, objects
from bundler.bundle.records.log import log as logs
from bundler.bundle.records.state import state_file, streams

if TYPE_CHECKING:
    from pathlib import Path

BUNDLES, IMAGES, NEW = 500, 100, 20
"""The number of bundles, of images in each, and of those that the bundle before does not have."""
PACKAGES = 250
"""The number of packages of an image."""
RARE = "log4j-core@2.14*"
"""A package that one image has, so that a search has to read everything and finds something."""
_START = datetime(2026, 1, 1, tzinfo=UTC)


def write(path: Path) -> None:
    """Write the log, the state and the evidence of a year to the directory ``path``."""
    site.prepare(path)
    store = _Store(path / objects.FOLDER)
    chance = random.Random("airbundle")
    images = [_create_image(store, chance, number) for number in range(IMAGES)]
    log = logs.Log()
    with site.open_for_writing(path) as directory:
        lines = []
        for serial in range(1, BUNDLES + 1):
            if serial > 1:
                start = IMAGES + (serial - 2) * NEW
                added = [_create_image(store, chance, start + number) for number in range(NEW)]
                images = images[NEW:] + added
            evidence = store.add({"_type": document.TYPE, "images": images, "signers": []})
            moment = _START + timedelta(hours=17 * serial)
            log, line = logs.extend(
                log, streams.IMPORT, moment, _describe_import(serial, evidence), subject="log"
            )
            lines.append(line)
        (path / logs.NAME).write_bytes(b"".join(lines))
        state_file.write(directory, log, streams.replay(log.entries))


def _describe_import(serial: int, evidence: str) -> dict[str, Any]:
    return {
        "stream": "plant-7",
        "serial": serial,
        "inventory": _hash(b"inventory %d" % serial),
        "authenticated": True,
        "seen": "2026-01-01T00:00:00Z",
        "signedBy": ["0" * 64],
        "target": "docker://registry.example",
        "evidence": evidence,
    }


def _create_image(store: _Store, chance: random.Random, number: int) -> dict[str, Any]:
    """Return the entry of an image in a document, and keep its packages."""
    packages = [
        {
            "type": "deb",
            "namespace": "debian",
            "name": f"lib{''.join(chance.choices(_SYLLABLES, k=2))}{chance.randrange(99)}",
            "version": f"{chance.randrange(9)}.{chance.randrange(99)}-{chance.randrange(9)}",
            "architecture": "amd64",
            "licenses": ["GPL-2.0-or-later"],
        }
        for _ in range(PACKAGES)
    ]
    if number == IMAGES:
        packages[0] |= {"type": "maven", "namespace": "org.apache", "name": "log4j-core"}
        packages[0]["version"] = "2.14.1"
    layer = _hash(b"layer %d" % number)
    files = [{"layer": layer, "path": "var/lib/dpkg/status", "packages": packages}]
    return {
        "reference": f"registry.example/team/app-{number}:1",
        "digest": _hash(b"image %d" % number),
        "name": f"registry.site/app-{number}:1",
        "action": "copied",
        "contents": store.add({"contents": []}),
        "platforms": [
            {
                "platform": "linux/amd64",
                "digest": _hash(b"image %d" % number),
                "packages": store.add({"files": files, "findings": []}),
            }
        ],
    }


_SYLLABLES = ("ssl", "xml", "curl", "gtk", "png", "zip", "net", "crypt", "sys", "dev", "java", "py")


class _Store:
    """Writes objects without syncing them to the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._compressor = zstandard.ZstdCompressor()

    def add(self, value: dict[str, Any]) -> str:
        raw = objects.encode(value)
        digest = hashlib.sha256(raw).hexdigest()
        path = self._folder / f"{digest}{objects.SUFFIX}"
        path.write_bytes(self._compressor.compress(raw))
        return f"sha256:{digest}"


def _hash(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
