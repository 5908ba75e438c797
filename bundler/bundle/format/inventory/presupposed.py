"""The presupposed blobs of a bundle: layers that it lacks because its target already has them.

``presupposed.txt`` lists them, one per line and sorted: digest, size in bytes, and repositories of
the target that have the blob. The inventory states its digest, its size and the number of lines,
so that the signatures cover it. Only layers of images are presupposed: manifests, configs and all
content of referrers are in the bundle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.inventory import ChecksumFile
from bundler.errors import DamagedBundleError, LimitError, MalformedError, NotFoundError
from bundler.oci.digest import Digest
from bundler.oci.reference import is_repository_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.copy.image import ResolvedImage

MAX_FILE = 16 * 1024 * 1024
MAX_REPOSITORIES = 8
"""Repositories that are listed for one blob: where an import may mount it from."""

_LINE = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}) (0|[1-9][0-9]{0,18})((?: \S+)*)")


@dataclass(frozen=True, slots=True)
class HeldBlob:
    """A blob that a target has; ``size`` in bytes."""

    digest: Digest
    size: int
    repositories: tuple[str, ...] = ()
    """Repositories of the target that have it, sorted; empty: it has no repositories."""


def select(
    images: Sequence[ResolvedImage], held: Mapping[Digest, HeldBlob]
) -> dict[Digest, HeldBlob]:
    """Return the layers of ``images`` that are ``held``, and that no referrer needs."""
    if not held:
        return {}
    needed = {
        node.digest for image in images for item in image.referrers for node in item.graph.blobs
    }
    found = {}
    for node in (node for image in images for node in image.graph.blobs):
        blob = None if node.digest is None else held.get(node.digest)
        is_layer = node.kind == "layer" and not node.urls and node.digest not in needed
        if blob is not None and is_layer and blob.size == node.size:
            found[blob.digest] = blob
    return found


def render(
    blobs: Iterable[HeldBlob], *, subject: str = bundle_paths.PRESUPPOSED, limit: int = MAX_FILE
) -> bytes:
    """Return the lines of ``blobs``: the bytes of ``presupposed.txt``.

    Raises:
        LimitError: they have more than ``limit`` bytes.
    """
    lines = [
        " ".join((blob.digest.text, str(blob.size), *blob.repositories[:MAX_REPOSITORIES])) + "\n"
        for blob in sorted(blobs, key=lambda blob: blob.digest.text)
    ]
    raw = "".join(lines).encode("ascii")
    if len(raw) > limit:
        raise LimitError(
            f"{subject}: too large (expected at most {limit:,} bytes, got {len(raw):,})",
            hint="divide the images among several bundle manifests",
        )
    return raw


def describe(raw: bytes) -> ChecksumFile:
    """Return the member ``presupposes`` for the bytes of ``presupposed.txt``."""
    return ChecksumFile(Digest.of(raw), len(raw), raw.count(b"\n"))


def parse(
    raw: bytes, subject: str = bundle_paths.PRESUPPOSED, *, limit: int = MAX_FILE, first: int = 1
) -> dict[Digest, HeldBlob]:
    """Parse ``presupposed.txt``, or lines of the same form; ``first`` is the number of the first.

    Raises:
        MalformedError: a line is invalid, or the lines are not sorted.
        LimitError: it is too large.
    """
    if len(raw) > limit:
        raise LimitError(f"{subject}: too large (expected at most {limit:,} bytes)")
    blobs: dict[Digest, HeldBlob] = {}
    previous = ""
    for number, line in enumerate(BytesIO(raw), first):
        text = line.decode("ascii", "replace")
        match = _LINE.fullmatch(text.removesuffix("\n")) if text.endswith("\n") else None
        repositories = () if match is None else tuple(match[3].split())
        if (
            match is None
            or len(repositories) > MAX_REPOSITORIES
            or not all(map(is_repository_path, repositories))
        ):
            raise MalformedError(
                f"{subject}: line {number} is malformed (expected DIGEST SIZE REPOSITORY…)"
            )
        if match[1] <= previous:
            raise MalformedError(f"{subject}: line {number} is not in order")
        previous = match[1]
        digest = Digest(match[1])
        blobs[digest] = HeldBlob(digest, int(match[2]), repositories)
    return blobs


def read(bundle: BundleFiles, contents: Inventory) -> dict[Digest, HeldBlob]:
    """Read the presupposed blobs of the bundle whose inventory is ``contents``.

    Raises:
        DamagedBundleError: the file is missing, or is not the one that the inventory lists.
        MalformedError, LimitError, MediumError: it cannot be read.
    """
    listed = contents.presupposed_file
    if listed is None:
        return {}
    path = bundle_paths.PRESUPPOSED
    try:
        raw = bundle.read(path, MAX_FILE)
    except NotFoundError:
        raise _create_error(bundle, "missing") from None
    if describe(raw) != listed:
        raise _create_error(bundle, f"does not match {bundle_paths.INVENTORY}")
    return parse(raw, f"{bundle.location}: {path}")


def _create_error(bundle: BundleFiles, problem: str) -> DamagedBundleError:
    return DamagedBundleError(
        f"{bundle.location}: the bundle is damaged",
        [f"{bundle_paths.PRESUPPOSED}: {problem}"],
        hint="copy the bundle again",
    )
