"""Small images made from bytes: the same input always produces the same digests.

Independent of the program's own model and writers, so that agreement is meaningful.

    layer(files) ─┐
                  ├─▶ image(…) ─┬─▶ index(…)
                  │             └─▶ artifact(…, subject=…), cosign_signature(of=…)
    write_layout(directory, {"app:1": image}), push("127.0.0.1:5000", "library/app", image, "1")
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OCI = {
    "index": "application/vnd.oci.image.index.v1+json",
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "tar": "application/vnd.oci.image.layer.v1.tar",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
DOCKER = {
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "tar": "application/vnd.docker.image.rootfs.diff.tar",
    "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
EMPTY = "application/vnd.oci.empty.v1+json"
COSIGN_SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes and their media type."""

    media_type: str
    data: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """``sha256:<hex>``."""
        return sha256(self.data)

    def descriptor(self, **more: object) -> dict[str, Any]:
        """Return the OCI descriptor; ``more`` are further members; None values are omitted."""
        members = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}
        return members | {key: value for key, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Layer:
    """The blob of a layer, and its diff ID."""

    blob: Blob
    diff_id: str


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest or an index, with everything below it.

    ``children`` are the images of an index; ``blobs`` the config and layers of a manifest.
    """

    root: Blob
    blobs: tuple[Blob, ...] = ()
    children: tuple[Image, ...] = ()
    platform: str | None = None

    @property
    def digest(self) -> str:
        """The root's digest."""
        return self.root.digest

    def manifests(self) -> list[Blob]:
        """Return every manifest and index, children before parents, each once."""
        found = {m.digest: m for child in self.children for m in child.manifests()}
        return [*found.values(), self.root]

    def all_blobs(self) -> list[Blob]:
        """Return every config and layer, each once."""
        found = {b.digest: b for child in self.children for b in child.all_blobs()}
        found |= {b.digest: b for b in self.blobs}
        return list(found.values())

    def contents(self) -> dict[str, bytes]:
        """Return all bytes of the image by digest: the content of a complete copy."""
        return {b.digest: b.data for b in [*self.all_blobs(), *self.manifests()]}


def sha256(data: bytes) -> str:
    """Return ``sha256:<hex>`` of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def dump(value: object) -> bytes:
    """Return compact JSON with the members in the given order."""
    return json.dumps(value, separators=(",", ":")).encode()


def layer(
    files: dict[str, bytes], *, compression: str = "gzip", types: dict[str, str] = OCI
) -> Layer:
    """Create a layer of regular ``files``.

    ``compression`` is ``tar`` (none), ``gzip``, ``stored`` (gzip without compression) or ``zstd``.
    """
    tar = _tar(files)
    match compression:
        case "tar":
            data = tar
        case "gzip":
            data = zlib.compress(tar, 1, wbits=31)  # gzip, with the same header in every Python
        case "stored":
            data, compression = zlib.compress(tar, 0, wbits=31), "gzip"
        case "zstd":
            data = zstandard.ZstdCompressor(level=1).compress(tar)
        case _:
            raise ValueError(compression)
    return Layer(Blob(types[compression], data), sha256(tar))


def image(
    *layers: Layer,
    platform: str = "linux/amd64",
    types: dict[str, str] = OCI,
    config: dict[str, Any] | None = None,
    **members: object,
) -> Image:
    """Create an image of ``layers``; ``members`` are added to its manifest (``annotations=…``).

    Without ``layers``, the image has one layer with a single file that contains the platform.
    """
    layers = layers or (layer({"platform": platform.encode()}, types=types),)
    os, architecture, *variant = platform.split("/")
    body = {
        "architecture": architecture,
        "os": os,
        **({"variant": variant[0]} if variant else {}),
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": [item.diff_id for item in layers]},
        **(config or {}),
    }
    config_blob = Blob(types["config"], dump(body))
    blobs = (config_blob, *(item.blob for item in layers))
    return Image(_manifest(types["manifest"], blobs, members), blobs, platform=platform)


def index(*children: Image, types: dict[str, str] = OCI, **members: object) -> Image:
    """Create an index of ``children``, with the platform of each that has one."""
    entries = [
        child.root.descriptor(platform=_platform(child.platform) if child.platform else None)
        for child in children
    ]
    body = {"schemaVersion": 2, "mediaType": types["index"], "manifests": entries, **members}
    return Image(Blob(types["index"], dump(body)), children=children)


def multi_platform(
    name: str, *platforms: str, types: dict[str, str] = OCI, shared: Layer | None = None
) -> Image:
    """Create an index of one image per platform; ``shared`` is the first layer of all."""
    own = [layer({f"{name}/platform": platform.encode()}, types=types) for platform in platforms]
    return index(
        *(
            image(*((shared, top) if shared else (top,)), platform=platform, types=types)
            for platform, top in zip(platforms, own, strict=True)
        ),
        types=types,
    )


def artifact(
    artifact_type: str,
    data: bytes,
    *,
    media_type: str = "application/octet-stream",
    subject: Image | None = None,
    **members: object,
) -> Image:
    """Create an OCI 1.1 artifact with the empty config; ``subject`` makes it a referrer."""
    blobs = (Blob(EMPTY, b"{}"), Blob(media_type, data))
    if subject is not None:
        members["subject"] = subject.root.descriptor()
    members = {"artifactType": artifact_type} | members
    return Image(_manifest(OCI["manifest"], blobs, members), blobs)


def cosign_signature(
    of: Image,
    *,
    reference: str = "example.com/app",
    sign: Callable[[bytes], bytes] = lambda _: b"made",
) -> tuple[str, Image]:
    """Create the tag ``sha256-<hex>.sig`` and an image like cosign's.

    By default, the signature is false.
    """
    payload = dump(
        {
            "critical": {
                "identity": {"docker-reference": reference},
                "image": {"docker-manifest-digest": of.digest},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
    )
    config = Blob(
        OCI["config"], dump({"rootfs": {"type": "layers", "diff_ids": [sha256(payload)]}})
    )
    signed = Blob(COSIGN_SIMPLE_SIGNING, payload)
    text = base64.b64encode(sign(payload)).decode()
    body = {
        "schemaVersion": 2,
        "mediaType": OCI["manifest"],
        "config": config.descriptor(),
        "layers": [signed.descriptor(annotations={"dev.cosignproject.cosign/signature": text})],
    }
    root = Blob(OCI["manifest"], dump(body))
    return of.digest.replace(":", "-") + ".sig", Image(root, (config, signed))


def write_layout(directory: Path, images: dict[str, Image]) -> Path:
    """Write an OCI image layout of ``images``, by their names in ``index.json``.

    https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
    """
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for item in images.values():
        for digest, data in item.contents().items():
            (blobs / digest.removeprefix("sha256:")).write_bytes(data)
    entries = [
        item.root.descriptor(annotations={"org.opencontainers.image.ref.name": name})
        for name, item in images.items()
    ]
    (directory / "oci-layout").write_bytes(dump({"imageLayoutVersion": "1.0.0"}))
    (directory / "index.json").write_bytes(dump({"schemaVersion": 2, "manifests": entries}))
    return directory


def push(
    host: str,
    repository: str,
    image: Image,
    *tags: str,
    headers: dict[str, str] | None = None,
) -> str:
    """Push over plain HTTP as the distribution specification defines; return the root's digest.

    Without ``tags`` the image is available only by its digest.
    """
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        for blob in image.all_blobs():
            _push_blob(connection, repository, blob, headers or {})
        for manifest in image.manifests():
            names = tags if manifest is image.root and tags else (manifest.digest,)
            for name in names:
                _expect(
                    connection,
                    ("PUT", f"/v2/{repository}/manifests/{name}", manifest.data),
                    {"Content-Type": manifest.media_type, **(headers or {})},
                    201,
                )
    finally:
        connection.close()
    return image.digest


def _push_blob(
    connection: http.client.HTTPConnection, repository: str, blob: Blob, headers: dict[str, str]
) -> None:
    connection.request("HEAD", f"/v2/{repository}/blobs/{blob.digest}", headers=headers)
    found = connection.getresponse()
    found.read()
    if found.status == 200:
        return
    location = _expect(connection, ("POST", f"/v2/{repository}/blobs/uploads/", b""), headers, 202)
    separator = "&" if "?" in location else "?"
    _expect(
        connection,
        ("PUT", f"{location}{separator}digest={blob.digest}", blob.data),
        {"Content-Type": "application/octet-stream", **headers},
        201,
    )


def _expect(
    connection: http.client.HTTPConnection,
    request: tuple[str, str, bytes],
    headers: dict[str, str],
    status: int,
) -> str:
    method, url, body = request
    connection.request(method, url, body, {"Content-Length": str(len(body)), **headers})
    answer = connection.getresponse()
    text = answer.read(2000)
    if answer.status != status:
        raise AssertionError(f"{method} {url}: {answer.status} {text!r}, expected {status}")
    return answer.headers.get("Location", "")


def _manifest(media_type: str, blobs: tuple[Blob, ...], members: dict[str, object]) -> Blob:
    config, *layers = blobs
    body = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.descriptor(),
        "layers": [item.descriptor() for item in layers],
        **members,
    }
    return Blob(media_type, dump(body))


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
