"""Small bundles made from images, independent of the program's export."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fakes import images

if TYPE_CHECKING:
    from bundler.trust.keys import PrivateKey

CREATED = "2026-11-23T07:00:00Z"
REFERENCES = ("docker.io/library/nginx:1.27", "registry.corp:5000/infra/app:v2.1")


def sample() -> dict[str, images.Image]:
    """Two images that share a layer; the second is an index of two platforms."""
    shared = images.layer({"shared": b"shared " * 1000})
    return {
        REFERENCES[0]: images.image(shared, images.layer({"nginx": b"nginx " * 500})),
        REFERENCES[1]: images.multi_platform("app", "linux/amd64", "linux/arm64", shared=shared),
    }


def write(
    directory: Path,
    named: dict[str, images.Image] | None = None,
    *,
    keys: tuple[PrivateKey, ...] = (),
    form: str = "oci",
    **members: Any,
) -> Path:
    """Write a bundle in format ``form``; ``members`` replace those of ``bundle.json``."""
    named = sample() if named is None else named
    if form == "oci":
        images.write_layout(directory, named)
    else:
        write_tree(directory, named)
    (directory / "VERIFY.txt").write_text("read docs/format.md\n")
    seal(directory, create_inventory(directory, named, form=form, **members), keys)
    return directory


def write_tree(directory: Path, named: dict[str, images.Image]) -> None:
    """Write ``images/<hex>/`` for each image, as containers/image's ``dir:`` stores it."""
    for image in named.values():
        home = directory / "images" / image.digest.removeprefix("sha256:")
        home.mkdir(parents=True, exist_ok=True)
        for blob in image.all_blobs():
            (home / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
        for manifest in image.manifests()[:-1]:
            name = f"{manifest.digest.removeprefix('sha256:')}.manifest.json"
            (home / name).write_bytes(manifest.data)
        (home / "manifest.json").write_bytes(image.root.data)
        (home / "version").write_bytes(b"Directory Transport Version: 1.1\n")


def create_inventory(
    directory: Path, named: dict[str, images.Image], *, form: str = "oci", **members: Any
) -> dict[str, Any]:
    """Return the content of ``bundle.json`` without ``sums``."""
    return {
        "_type": "airbundle/bundle/v1",
        "format": form,
        "stream": "plant-7",
        "serial": 1795417200,
        "created": CREATED,
        "complete": True,
        "tool": {"name": "airbundle", "version": "0"},
        "images": [
            {
                "reference": reference,
                "digest": image.digest,
                "mediaType": image.root.media_type,
                "size": len(image.root.data),
                "platforms": [
                    each.platform for each in image.children or (image,) if each.platform
                ],
                **({"index": "all"} if image.children else {}),
            }
            for reference, image in named.items()
        ],
    } | members


def seal(directory: Path, value: dict[str, Any], keys: tuple[PrivateKey, ...] = ()) -> None:
    """Write SHA256SUMS of the files in ``directory``, ``bundle.json``, and its signatures."""
    listed = write_checksums(directory)
    raw = (directory / "SHA256SUMS").read_bytes()
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    described = {"path": "SHA256SUMS", "digest": digest, "size": len(raw), "count": listed}
    document = json.dumps({"sums": described} | value, sort_keys=True, separators=(",", ":"))
    (directory / "bundle.json").write_text(document + "\n")
    for key in keys:
        name = f"bundle.json.{key.public.id[:16]}.sig"
        (directory / name).write_bytes(key.sign((directory / "bundle.json").read_bytes()))


def write_checksums(directory: Path) -> int:
    """Write SHA256SUMS of every file except itself and bundle.json…; return their number."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(directory)}\n"
        for path in sorted(find_files(directory))
        if path.name != "SHA256SUMS" and not path.name.startswith("bundle.json")
    ]
    (directory / "SHA256SUMS").write_text("".join(lines))
    return len(lines)


def find_files(directory: Path) -> list[Path]:
    """Yield every regular file below ``directory``."""
    return [Path(top) / name for top, _, names in os.walk(directory) for name in names]


def find_largest_blob(directory: Path) -> Path:
    """Return the largest blob of a bundle in format ``oci``."""
    return max((directory / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
