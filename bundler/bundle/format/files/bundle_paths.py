"""The paths of the files in a bundle; ``bundle_files`` finds and opens them.

    bundle.json  bundle.json.<16 hex>.sig  SHA256SUMS  VERIFY.txt
    bundle.json.sigstore.json                                    for cosign
    read-back.json                                               an unsigned record
    plan.json  plan.json.<16 hex>.sig  CONTENTS                  a sealed plan
    VOLUME-<n>.sha256                                            the checksum file of a volume
    bundle.announced.json                                        the inventory on every volume
    presupposed.txt                                              blobs that the target has
    trust/<n>.trust.json  trust/<n>.trust.json.<16 hex>.sig      versions of the trust file
    oci-layout  index.json  blobs/<algorithm>/<hex>              format oci
    blobs/<algorithm>/<hex>.<number>                             a part of a blob
    signatures/<algorithm>=<hex>/signature-<n>                   of images, format oci
    images/<hex of the root>/…                                   format dir
    program-<16 hex>/…                                           the carried program
    recovery/<number>/…                                          recovery data
    bundle.next/…                                                a complete new seal

A medium is untrusted. A name is used as a path only after ``is_path`` accepted it.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.files import part_files
from bundler.content.files.safe_directory import is_portable
from bundler.errors import MalformedError
from bundler.oci.digest import Digest
from bundler.transports.shared import bundle_guard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.bundle.format.inventory.inventory import Format

INVENTORY = bundle_guard.INVENTORY
CHECKSUM_FILE = "SHA256SUMS"
INSTRUCTIONS = "VERIFY.txt"
SIGSTORE_BUNDLE = f"{INVENTORY}.sigstore.json"
"""One of the signatures once more, in the format of cosign. Readers ignore it."""
READ_BACK = "read-back.json"
"""The record that the bundle was read again after writing, see ``read_back_record``."""
PLAN = "plan.json"
"""The sealed plan, which precedes the content of an archive or of a volume, see ``sealed_plan``."""
CONTENTS = "CONTENTS"
"""The list of the content that the sealed plan announces."""
ANNOUNCED = "bundle.announced.json"
"""The bytes of the inventory on every volume, before its content; they complete no bundle."""
PRESUPPOSED = "presupposed.txt"
"""The list of the blobs that the bundle lacks because its target has them, see ``presupposed``."""
TRUST = "trust"
SIGNATURES = "signatures"
"""The signatures of images that are not attached to them in their registry, in format ``oci``."""
RECOVERY = "recovery"
"""The recovery data, in a directory for each bundle, see ``recovery_record``."""
NEXT = "bundle.next"
"""The directory of a complete new seal; it exists only until its files are in their places."""
UNFINISHED = "bundle.unfinished"
"""The directory of a seal that is being written or removed; readers ignore it."""
MARKER = "oci-layout"
INDEX = "index.json"
BLOBS = bundle_guard.BLOBS
IMAGES = bundle_guard.IMAGES

ARCHIVE_SUFFIX = ".airbundle"
"""The end of the name of an archive."""
ENCRYPTED_SUFFIX = ".age"
"""The end of the name of an encrypted archive."""
PIPE = Path("-")
"""The location of an archive on standard input or output."""

MAX_PATH = 300

_UNLISTED = frozenset(
    {INVENTORY, CHECKSUM_FILE, SIGSTORE_BUNDLE, READ_BACK, PLAN, CONTENTS, ANNOUNCED}
)
_TOP = _UNLISTED | {
    *(INSTRUCTIONS, PRESUPPOSED, MARKER, INDEX, BLOBS, IMAGES, SIGNATURES, TRUST, RECOVERY),
}
_SIGNATURES = {
    document: re.compile(rf"{re.escape(document)}\.([0-9a-f]{{16}})\.sig")
    for document in (INVENTORY, PLAN)
}
_VOLUME = re.compile(r"VOLUME-([1-9][0-9]{0,4})\.sha256")
_TRUST_FILE = re.compile(r"([1-9][0-9]{0,8})\.trust\.json(?:\.([0-9a-f]{16})\.sig)?")
_PROGRAM = re.compile(r"program-[0-9a-f]{16}")
_RECOVERY_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_RECOVERY_FILE = re.compile(r"(?:files|digests)-[12]|seal-[12]\.tar|slices-[0-9]{3}")
_IMAGE_SIGNATURE = re.compile(r"(?:(?:sha512-)?[0-9a-f]+\.)?signature-[1-9][0-9]{0,3}")
_SIGNED = re.compile(r"sha256=[0-9a-f]{64}|sha512=[0-9a-f]{128}")
_REMEMBERED = 8_192  # paths whose results are kept
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}
_DIR_PART = re.compile(r"(?:(sha512)-)?([0-9a-f]+)(?:\.manifest\.json)?")
# Files that operating systems create on a medium that they mount.
_SYSTEM = re.compile(
    r"\._.*|\.DS_Store|\.Trash.*|\.Spotlight-V100|\.fseventsd|\.TemporaryItems"
    r"|System Volume Information|\$RECYCLE\.BIN|Thumbs\.db|desktop\.ini|lost\+found"
    r"|\.fuse_hidden.*|\.nfs[0-9a-f]+",
    re.IGNORECASE,
)


def is_archive_name(path: Path) -> bool:
    """Whether a new bundle at ``path`` is an archive, judged by its name."""
    return path == PIPE or (is_archive_file_name(path.name) and not path.is_dir())


def is_archive_file_name(name: str) -> bool:
    """Whether the name of a file is that of an archive, which may be encrypted."""
    return name.endswith((ARCHIVE_SUFFIX, f"{ARCHIVE_SUFFIX}{ENCRYPTED_SUFFIX}"))


def format_signature_name(key_id: str, document: str = INVENTORY) -> str:
    """Return the file name of the signature of a document by the key with this ID."""
    return f"{document}.{key_id[:16]}.sig"


def parse_signature_name(name: str, document: str = INVENTORY) -> str | None:
    """Return the first 16 digits of the key ID in the name of a signature file; None for others.

    ``document`` is the signed document: the inventory, or the sealed plan.
    """
    match = _SIGNATURES[document].fullmatch(name)
    return match[1] if match else None


def format_volume_name(number: int) -> str:
    """Return the file name of the checksum file of a volume."""
    return f"VOLUME-{number}.sha256"


def parse_volume_name(name: str) -> int | None:
    """Return the number in the file name of a volume's checksum file; None for other names."""
    match = _VOLUME.fullmatch(name)
    return int(match[1]) if match else None


def parse_trust_name(name: str) -> tuple[int, str | None] | None:
    """Return the version in the name of a file in ``trust/``; None for files of other names.

    For a signature, the second value is the first 16 digits of the key ID.
    """
    match = _TRUST_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def is_listed(path: str) -> bool:
    """Whether SHA256SUMS must list a file: all except itself and files that are signed separately.

    The sealed plan may be listed, as in an archive.
    """
    if path in _UNLISTED or _is_document_signature(path) or parse_volume_name(path) is not None:
        return False
    folder, _, name = path.rpartition("/")
    return not is_recovery(path) and (folder != TRUST or parse_trust_name(name) is None)


def is_recovery(path: str) -> bool:
    """Whether the path is that of recovery data, which the inventory names by another table."""
    return path.startswith(f"{RECOVERY}/")


def is_plan(path: str) -> bool:
    """Whether the path is that of the sealed plan, its signatures, or the list of its content."""
    return path in (PLAN, CONTENTS) or parse_signature_name(path, PLAN) is not None


def check_listed(paths: Iterable[str], subject: str = CHECKSUM_FILE) -> None:
    """Check that a file such as SHA256SUMS may list ``paths``, all of which are different.

    Raises:
        MalformedError: one is not a valid path or must not be listed, or two differ only by case.
    """
    folded: set[str] = set()
    for path in paths:
        if not is_path(path) or not (is_listed(path) or is_plan(path)):
            raise MalformedError(f"{subject}: {path[:200]!r} must not be listed")
        key = path.casefold()
        if key in folded:
            raise MalformedError(
                f"{subject}: {path[:200]!r} differs from another path only by case"
            )
        folded.add(path if key == path else key)  # saves memory: most paths are in lower case


def find_image_path(root: Digest) -> str:
    """Return the directory of an image in format ``dir``."""
    return f"{IMAGES}/{root.hex}"


def find_path(bundle_format: Format, root: Digest, digest: Digest, *, manifest: bool) -> str:
    """Return the path of a manifest or blob of the image whose root is ``root``."""
    if bundle_format == "oci":
        # The paths of many blobs are in several collections at once.
        return sys.intern(f"{BLOBS}/{digest.text.replace(':', '/')}")
    if digest == root:
        return f"{find_image_path(root)}/manifest.json"
    prefix = "" if digest.algorithm == "sha256" else f"{digest.algorithm}-"
    return f"{find_image_path(root)}/{prefix}{digest.hex}{'.manifest.json' if manifest else ''}"


def find_version_path(root: Digest) -> str:
    """Return the path of the file ``version`` of an image in format ``dir``."""
    return f"{find_image_path(root)}/version"


def find_signature_path(bundle_format: Format, root: Digest, manifest: Digest, number: int) -> str:
    """Return the path of a signature of a manifest of the image whose root is ``root``."""
    name = f"signature-{number}"
    if bundle_format == "oci":
        return f"{SIGNATURES}/{manifest.algorithm}={manifest.hex}/{name}"
    path = find_image_path(root)
    if manifest == root:
        return f"{path}/{name}"
    prefix = "" if manifest.algorithm == "sha256" else f"{manifest.algorithm}-"
    return f"{path}/{prefix}{manifest.hex}.{name}"


@lru_cache(_REMEMBERED)  # asked for several times for each file
def parse_digest(path: str) -> Digest | None:
    """Return the digest in the path of a file; None if the path contains none."""
    match path.split("/"):
        case ["blobs", ("sha256" | "sha512") as algorithm, name]:
            return _parse_hex(algorithm, name)
        case ["images", root, "manifest.json"]:
            return _parse_hex("sha512" if len(root) == 128 else "sha256", root)
        case ["images", _, name]:
            part = _DIR_PART.fullmatch(name)
            return _parse_hex(part[1] or "sha256", part[2]) if part else None
        case _:
            return None


def parse_blob_part(path: str) -> tuple[str, int] | None:
    """Return the path of the blob and the number of its part; None for other paths."""
    blob, number = path[:-4], path[-3:]
    if path[-4:-3] != "." or not (number.isascii() and number.isdecimal()):
        return None
    is_blob = blob.startswith(f"{BLOBS}/") and parse_digest(blob) is not None
    return (blob, int(number)) if is_blob else None


def group_blob_parts(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the paths of blob parts by that of their blob, in order; others are left out."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for path in paths if path[-4:-3] == "."):
        if (parsed := parse_blob_part(path)) is not None:
            found.setdefault(parsed[0], []).append(path)
    return found


def is_content(path: str) -> bool:
    """Whether the path is that of a blob or a file of an image, complete or partially written.

    Such a file may be unlisted: an interrupted export leaves it beside the former bundle.
    """
    if parse_digest(path) is not None or is_program(path):
        return True
    match path.split("/"):
        case ["blobs", "sha256" | "sha512", name]:
            return part_files.is_part(name) or parse_blob_part(path) is not None
        case ["images", root, name]:
            return is_image(root) and (
                name == "version"
                or part_files.is_part(name)
                or _IMAGE_SIGNATURE.fullmatch(name) is not None
            )
        case ["signatures", _, _]:
            return True  # ``scan`` returns no others
        case _:
            return False


def is_program(path: str) -> bool:
    """Whether the path is that of a carried program, or of one of its files.

    The name of the directory is a digest of the program, so that two programs never share one.
    """
    return _PROGRAM.fullmatch(path.partition("/")[0]) is not None


def is_system_file(name: str) -> bool:
    """Whether operating systems create files with this name on a medium."""
    return _SYSTEM.fullmatch(name) is not None


def is_image(name: str) -> bool:
    """Whether a directory in ``images/`` may have this name."""
    return any(form.fullmatch(name) for form in _HEX.values()) or part_files.is_part(name)


def may_be_left_over(name: str) -> bool:
    """Whether an interrupted export may leave a file with this name at the top of its directory."""
    return _is_top_name(name) or name in (NEXT, UNFINISHED) or part_files.is_part(name)


@lru_cache(_REMEMBERED)
def is_path(text: str) -> bool:
    """Whether ``text`` is a relative path that is valid on every file system."""
    return len(text) <= MAX_PATH and is_portable(*text.split("/"))


def belongs_to_bundle(below: str, name: str) -> bool:
    """Whether a name in the directory ``below`` is not foreign; ``below`` ends with a slash."""
    if below == f"{TRUST}/":
        return parse_trust_name(name) is not None
    if below == f"{SIGNATURES}/":
        return _SIGNED.fullmatch(name) is not None
    if below.startswith(f"{SIGNATURES}/"):
        is_signature = "." not in name and _IMAGE_SIGNATURE.fullmatch(name) is not None
        return is_signature or part_files.is_part(name)
    if below == f"{RECOVERY}/":
        return _RECOVERY_NUMBER.fullmatch(name) is not None
    if below.startswith(f"{RECOVERY}/"):
        return _RECOVERY_FILE.fullmatch(name) is not None or part_files.is_part(name)
    return not is_system_file(name) if below else _is_top_name(name)


def is_signature(path: str) -> bool:
    """Whether the path is that of a signature of the bundle, also in the format of cosign."""
    return path == SIGSTORE_BUNDLE or parse_signature_name(path) is not None


def _is_top_name(name: str) -> bool:
    if is_program(name) or parse_volume_name(name) is not None:
        return True
    return name in _TOP or _is_document_signature(name)


def _is_document_signature(name: str) -> bool:
    return any(form.fullmatch(name) for form in _SIGNATURES.values())


def _parse_hex(algorithm: str, text: str) -> Digest | None:
    return Digest(f"{algorithm}:{text}") if _HEX[algorithm].fullmatch(text) else None


def split_path(path: str) -> list[str]:
    """Return the components of a path.

    Raises:
        MalformedError: it is not valid, see ``is_path``.
    """
    if not is_path(path):
        raise MalformedError(f"{path[:MAX_PATH]!r} is not a valid path in a bundle")
    return path.split("/")
