"""The versions of a site's trust file that a bundle contains, in ``trust/``.

SHA256SUMS does not list them: each version is signed by the keys of the former one, and is needed
before the bundle can be authenticated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.errors import LimitError
from bundler.trust.bundle_trust import SignedDocument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bundler.bundle.format.reading.files import BundleFiles

MAX_CHAIN = 16 * 1024 * 1024
"""Maximum size in bytes of all versions and signatures that one run reads."""
MAX_FILES = 4096


def write_chain(bundle: Path, chain: Mapping[int, SignedDocument]) -> None:
    """Write the versions of a trust file, each after its signatures; keep equal files.

    Raises:
        MediumError: one cannot be written.
    """
    if not chain:
        return
    with Directory.open(bundle) as top, top.enter(bundle_paths.TRUST, create=True) as folder:
        atomic_write.sync_directory(top)
        present = set(folder.list_names())
        for name, data in list_files(chain):
            if name not in present or folder.read(name, limit=MAX_CHAIN) != data:
                atomic_write.write_bytes_in(folder, name, data)


def list_files(chain: Mapping[int, SignedDocument]) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the files of a chain, each version after its signatures."""
    for version, document in sorted(chain.items()):
        name = f"{version}.trust.json"
        for key_id, signature in document.signatures.items():
            yield f"{name}.{key_id}.sig", signature
        yield name, document.raw


def read_chain(bundle: BundleFiles, first: int) -> dict[int, SignedDocument]:
    """Read the trust files from version ``first`` on, with their signatures, unverified.

    Raises:
        LimitError: they are too many, or too large.
        MalformedError, MediumError: one cannot be read.
    """
    documents: dict[int, bytes] = {}
    signatures: dict[int, dict[str, bytes]] = {}
    names, remaining = bundle.list_names(bundle_paths.TRUST), MAX_CHAIN
    if len(names) > MAX_FILES:
        raise LimitError(
            f"{bundle.location}/{bundle_paths.TRUST}: too many files (expected at most"
            f" {MAX_FILES:,}, got {len(names):,})"
        )
    for name in names:
        parsed = bundle_paths.parse_trust_name(name)
        if parsed is None or parsed[0] < first:
            continue
        version, key_id = parsed
        data = bundle.read(f"{bundle_paths.TRUST}/{name}", remaining)
        remaining -= len(data)
        if key_id is None:
            documents[version] = data
        else:
            signatures.setdefault(version, {})[key_id] = data
    return {
        version: SignedDocument(raw, signatures.get(version, {}))
        for version, raw in sorted(documents.items())
    }
