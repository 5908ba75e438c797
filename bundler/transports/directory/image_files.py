"""The files of an image in a directory, with the names that containers/image uses.

version                    the version of this format
manifest.json              the root
<hex>                      a config or layer; ``sha512-<hex>`` if the digest is a sha512
<hex>.manifest.json        another manifest of the image
signature-N                a signature of the root; ``<hex>.signature-N`` of another manifest
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, part_files
from bundler.errors import LimitError, MalformedError, NotAnImageDirectoryError, NotFoundError
from bundler.oci import manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import MAX_MANIFEST, compute_manifest_digest
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bundler.content.files.part_files import KeptParts
    from bundler.content.files.safe_directory import Directory
    from bundler.content.streams import Content
    from bundler.oci.digest import Digest
    from bundler.transports.shared.reachability import Reachable

MANIFEST = "manifest.json"
VERSION = "version"
VERSION_1_1 = b"Directory Transport Version: 1.1\n"
VERSION_1_2 = b"Directory Transport Version: 1.2\n"

_MAX_VERSION = 1024
_MAX_DEPTH = 32
_PART = re.compile(r"(?:[0-9a-f]{64}|sha512-[0-9a-f]{128})(?:\.manifest\.json)?")
_SIGNATURE = re.compile(r"(?:((?:sha512-)?[0-9a-f]+)\.)?signature-[0-9]+")


def get_file_name(node: Node) -> str:
    """Return the file name of a blob, or of a manifest that is not the root.

    Raises:
        NotFoundError: ``node`` has no digest.
    """
    if node.digest is None:
        raise NotFoundError("cannot name a blob without a digest")
    return get_file_stem(node.digest) + (".manifest.json" if node.kind == "manifest" else "")


def get_file_stem(digest: Digest) -> str:
    """Return the prefix that the names of all files for ``digest`` share."""
    return digest.hex if digest.algorithm == "sha256" else f"{digest.algorithm}-{digest.hex}"


def read_root(directory: Directory) -> bytes | None:
    """Read ``manifest.json``; None if nothing has been committed."""
    try:
        return directory.read(MANIFEST, limit=MAX_MANIFEST)
    except NotFoundError:
        return None


def describe_root(root: bytes, path: Path) -> Descriptor:
    """Return the descriptor of the bytes of ``manifest.json``; ``path`` is its name in messages.

    Raises:
        MalformedError, UnsupportedError: ``root`` is not a supported manifest.
    """
    media_type = manifest.parse(root, None, subject=str(path)).media_type
    return Descriptor(media_type, compute_manifest_digest(root, subject=str(path)), len(root))


def write_file(directory: Directory, node: Node, content: Content, parts: KeptParts) -> Descriptor:
    """Write a blob or a manifest; the caller makes its name durable."""
    part = None
    if node.digest is not None and node.kind != "manifest":
        part = parts.take(directory, node.digest, content.size)
    stored = atomic_write.write_content(
        directory,
        lambda blob: get_file_name(Node.of(blob, node.kind)),
        content,
        part=part,
        durable_name=False,
    )
    return Descriptor(node.media_type, stored.digest, stored.size)


def write_signatures(
    directory: Directory, root: Digest, manifest: Digest, signatures: Sequence[bytes]
) -> None:
    """Write the signatures of a manifest of the image whose root is ``root``."""
    prefix = "" if manifest == root else f"{get_file_stem(manifest)}."
    files = {f"{prefix}signature-{number}": raw for number, raw in enumerate(signatures, 1)}
    atomic_write.write_files(directory, files)


def check_reusable(directory: Directory) -> None:
    """Raise ``NotAnImageDirectoryError`` if ``directory`` contains anything but an image."""
    if all(part_files.is_part(name) for name in directory.list_names()):
        return
    with suppress(LimitError, MalformedError, NotFoundError):
        if directory.read(VERSION, limit=_MAX_VERSION) in (VERSION_1_1, VERSION_1_2):
            return
    raise NotAnImageDirectoryError(str(directory.path))


def write_version(directory: Directory, needed: Reachable) -> None:
    """Write the file ``version`` for an image with the content ``needed``, unless it is correct."""
    algorithms = {digest.algorithm for digest in (*needed.manifests, *needed.blobs)}
    version = VERSION_1_1 if algorithms == {"sha256"} else VERSION_1_2
    with suppress(LimitError, NotFoundError):
        if directory.read(VERSION, limit=_MAX_VERSION) == version:
            return
    atomic_write.write_bytes_in(directory, VERSION, version)


def remove_unneeded(directory: Directory, needed: Reachable, *, keep_signatures: bool) -> None:
    """Remove files that only former images needed; keep unrelated files.

    ``needed`` is the content of the image; ``keep_signatures`` keeps the signatures of its
    manifests.
    """
    kept = {get_file_stem(digest) for digest in needed.blobs}
    kept |= {f"{get_file_stem(digest)}.manifest.json" for digest in needed.manifests}
    signed = {get_file_stem(digest) for digest in needed.manifests}
    for name in directory.list_names():
        signature = _SIGNATURE.fullmatch(name)
        if signature:
            stays = keep_signatures and (signature[1] is None or signature[1] in signed)
        else:
            stays = name in kept or _PART.fullmatch(name) is None
        if not stays:
            directory.remove(name)


def find_image_directories(base: Path, depth: int = 0) -> Iterator[Path]:
    """Yield every directory that contains an image, sorted by name.

    Directories inside an image are not searched, and links are not followed.

    Raises:
        LimitError: directories are nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise LimitError(f"{base}: nested deeper than {_MAX_DEPTH} levels")
    with os.scandir(base) as items:
        entries = sorted(items, key=lambda item: item.name)
    if any(item.name == MANIFEST and not item.is_dir() for item in entries):
        yield base
        return
    for item in entries:
        if item.is_dir(follow_symlinks=False):
            yield from find_image_directories(base / item.name, depth + 1)
