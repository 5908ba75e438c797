"""The directory of a bundle: the names in it, and safe access to its files.

    bundle.json  bundle.json.<16 hex>.sig  SHA256SUMS  VERIFY.txt
    bundle.json.sigstore.json                                    for cosign
    trust/<n>.trust.json  trust/<n>.trust.json.<16 hex>.sig      versions of the trust file
    oci-layout  index.json  blobs/<algorithm>/<hex>              format oci
    signatures/<algorithm>=<hex>/signature-<n>                   of images, format oci
    images/<hex of the root>/…                                   format dir
    bundle.next/…                                                a complete new seal

A renewal that is interrupted while it replaces the seal leaves ``bundle.next``, see ``next_seal``.
As long as it exists, its files are read instead of those with the same paths beside it.

A medium is untrusted. A name is used as a path only after ``is_path`` accepted it, and a file is
opened only if neither it nor a directory between it and the bundle is a symbolic link.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.content.files import atomic_write, part_files
from bundler.content.files.safe_directory import Directory, is_portable
from bundler.errors import LimitError, MalformedError, MediumError, NotFoundError
from bundler.oci.digest import Digest
from bundler.transports.shared import bundle_guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bundler.bundle.format.inventory import Format
    from bundler.content.files.safe_directory import RegularFile

INVENTORY = bundle_guard.INVENTORY
CHECKSUM_FILE = "SHA256SUMS"
INSTRUCTIONS = "VERIFY.txt"
SIGSTORE_BUNDLE = f"{INVENTORY}.sigstore.json"
"""One of the signatures once more, in the format of cosign. Readers ignore it."""
TRUST = "trust"
SIGNATURES = "signatures"
"""The signatures of images that are not attached to them in their registry, in format ``oci``."""
NEXT = "bundle.next"
"""The directory of a complete new seal; it exists only until its files are in their places."""
UNFINISHED = "bundle.unfinished"
"""The directory of a seal that is being written or removed; readers ignore it."""
MARKER = "oci-layout"
INDEX = "index.json"
BLOBS = bundle_guard.BLOBS
IMAGES = bundle_guard.IMAGES

MAX_PATH = 300
MAX_ENTRIES = 250_000
_MAX_DEPTH = 2  # levels of directories, as in blobs/sha256 and images/<hex>

_UNLISTED = frozenset({INVENTORY, CHECKSUM_FILE, SIGSTORE_BUNDLE})
_TOP = _UNLISTED | {INSTRUCTIONS, MARKER, INDEX, BLOBS, IMAGES, SIGNATURES, TRUST}
_FOLDERS = (SIGNATURES, TRUST)  # files with these names are foreign
_SIGNATURE = re.compile(r"bundle\.json\.([0-9a-f]{16})\.sig")
_TRUST_FILE = re.compile(r"([1-9][0-9]{0,8})\.trust\.json(?:\.([0-9a-f]{16})\.sig)?")
_IMAGE_SIGNATURE = re.compile(r"(?:(?:sha512-)?[0-9a-f]+\.)?signature-[1-9][0-9]{0,3}")
_SIGNED = re.compile(r"sha256=[0-9a-f]{64}|sha512=[0-9a-f]{128}")
_HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}
_DIR_PART = re.compile(r"(?:(sha512)-)?([0-9a-f]+)(?:\.manifest\.json)?")
# Files that operating systems create on a medium that they mount.
_SYSTEM = re.compile(
    r"\._.*|\.DS_Store|\.Trash.*|\.Spotlight-V100|\.fseventsd|\.TemporaryItems"
    r"|System Volume Information|\$RECYCLE\.BIN|Thumbs\.db|desktop\.ini|lost\+found"
    r"|\.fuse_hidden.*|\.nfs[0-9a-f]+",
    re.IGNORECASE,
)

EntryKind = Literal["file", "special"]


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file in the directory of a bundle; ``size`` in bytes."""

    path: str
    """The relative path, with slashes."""
    kind: EntryKind
    """``special``: a link, pipe, socket or device, or a directory in place of a file; it is neither
    followed nor opened.
    """
    size: int
    shared: tuple[int, int] | None = None
    """The device and inode of a file with several names (hard links); None: it has one name."""


@dataclass(frozen=True, slots=True)
class DirectoryScan:
    """The files in the directory of a bundle."""

    entries: dict[str, BundleFile]
    """The files of the bundle and unknown files in its directory, by path."""
    ignored: int
    """The number of files that operating systems created on the medium."""


def format_signature_name(key_id: str) -> str:
    """Return the file name of the signature by the key with this ID."""
    return f"{INVENTORY}.{key_id[:16]}.sig"


def parse_signature_name(name: str) -> str | None:
    """Return the first 16 digits of the key ID in the name of a signature file; None for others."""
    match = _SIGNATURE.fullmatch(name)
    return match[1] if match else None


def parse_trust_name(name: str) -> tuple[int, str | None] | None:
    """Return the version in the name of a file in ``trust/``; None for files of other names.

    For a signature, the second value is the first 16 digits of the key ID.
    """
    match = _TRUST_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def is_listed(path: str) -> bool:
    """Whether SHA256SUMS lists a file: all except itself, and files that are signed separately."""
    if path in _UNLISTED or parse_signature_name(path) is not None:
        return False
    folder, _, name = path.rpartition("/")
    return folder != TRUST or parse_trust_name(name) is None


def check_listed(paths: Iterable[str], subject: str = CHECKSUM_FILE) -> None:
    """Check that a file such as SHA256SUMS may list ``paths``, all of which are different.

    Raises:
        MalformedError: one is not a valid path or must not be listed, or two differ only by case.
    """
    folded: set[str] = set()
    for path in paths:
        if not is_path(path) or not is_listed(path):
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
        return f"{BLOBS}/{digest.text.replace(':', '/')}"
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


def is_content(path: str) -> bool:
    """Whether the path is that of a blob or a file of an image, complete or partially written.

    Such a file may be unlisted: an interrupted export leaves it beside the former bundle.
    """
    if parse_digest(path) is not None:
        return True
    match path.split("/"):
        case ["blobs", "sha256" | "sha512", name]:
            return part_files.is_part(name)
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


def is_system_file(name: str) -> bool:
    """Whether operating systems create files with this name on a medium."""
    return _SYSTEM.fullmatch(name) is not None


def is_image(name: str) -> bool:
    """Whether a directory in ``images/`` may have this name."""
    return any(form.fullmatch(name) for form in _HEX.values()) or part_files.is_part(name)


def may_be_left_over(name: str) -> bool:
    """Whether an interrupted export may leave a file with this name at the top of its directory."""
    return _is_top_name(name) or name in (NEXT, UNFINISHED) or part_files.is_part(name)


def is_path(text: str) -> bool:
    """Whether ``text`` is a relative path that is valid on every file system."""
    return len(text) <= MAX_PATH and is_portable(*text.split("/"))


def scan(bundle: Path) -> DirectoryScan:
    """List the files in the directory of a bundle; follows no link and opens no file.

    Raises:
        NotFoundError: the directory does not exist.
        MediumError: a directory cannot be read.
        LimitError: the directory contains more files than a bundle may have.
    """
    found = scan_files(bundle)
    if not has_next(bundle):
        return found
    following = scan_files(bundle / NEXT).entries
    former = {path: entry for path, entry in found.entries.items() if not _is_signature(path)}
    return DirectoryScan(former | following, found.ignored)


def has_next(bundle: Path) -> bool:
    """Return whether ``NEXT`` exists; a file or link with this name is no seal."""
    try:
        return stat.S_ISDIR(os.lstat(bundle / NEXT).st_mode)
    except OSError:
        return False


def scan_files(bundle: Path) -> DirectoryScan:
    """List the files as ``scan`` does, without regard to ``NEXT``."""
    entries: dict[str, BundleFile] = {}
    ignored = 0
    pending = [""]
    while pending:
        below = pending.pop()
        for item in _list_directory(bundle, below):
            path, name = f"{below}{item.name}", item.name
            if path in (NEXT, UNFINISHED):
                continue
            is_foreign = path in _FOLDERS and not _is_directory(item)
            if is_foreign or not _belongs_to_bundle(below, name):
                ignored += 1
            elif _is_directory(item) and path.count("/") < _MAX_DEPTH:
                pending.append(f"{path}/")
            else:
                status = item.stat(follow_symlinks=False)
                kind: EntryKind = "file" if stat.S_ISREG(status.st_mode) else "special"
                shared = (status.st_dev, status.st_ino) if status.st_nlink > 1 else None
                entries[path] = BundleFile(path, kind, status.st_size, shared)
            if len(entries) + len(pending) > MAX_ENTRIES:
                raise LimitError(f"{bundle}: too many files (expected at most {MAX_ENTRIES:,})")
    return DirectoryScan(entries, ignored)


def _list_directory(bundle: Path, below: str) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a directory one by one, because it may have millions of them."""
    try:
        with os.scandir(bundle / below) as listing:
            yield from listing
    except (FileNotFoundError, NotADirectoryError) as error:
        problem = "no such" if isinstance(error, FileNotFoundError) else "not a"
        raise NotFoundError(f"{bundle}: {problem} directory") from None
    except OSError as error:
        raise MediumError(f"{bundle / below}: {error.strerror}") from None


def _belongs_to_bundle(below: str, name: str) -> bool:
    """Whether a name in the directory ``below`` is not foreign; ``below`` ends with a slash."""
    if below == f"{TRUST}/":
        return parse_trust_name(name) is not None
    if below == f"{SIGNATURES}/":
        return _SIGNED.fullmatch(name) is not None
    if below.startswith(f"{SIGNATURES}/"):
        is_signature = "." not in name and _IMAGE_SIGNATURE.fullmatch(name) is not None
        return is_signature or part_files.is_part(name)
    return not is_system_file(name) if below else _is_top_name(name)


def _is_signature(path: str) -> bool:
    return path == SIGSTORE_BUNDLE or parse_signature_name(path) is not None


def _is_top_name(name: str) -> bool:
    return name in _TOP or parse_signature_name(name) is not None


def _is_directory(item: os.DirEntry[str]) -> bool:
    return item.is_dir(follow_symlinks=False)


def list_signatures(bundle: Directory) -> list[str]:
    """Return the names of the files with signatures of the bundle, unless they are for cosign.

    Raises:
        MalformedError, MediumError: the directory cannot be read.
    """
    try:
        with bundle.enter(NEXT) as following:
            names = following.list_names()
    except NotFoundError:
        names = bundle.list_names()
    return [name for name in names if parse_signature_name(name)]


def open_file(bundle: Directory, path: str) -> RegularFile:
    """Open a regular file below the bundle's directory; the caller closes it.

    Neither it nor a directory between it and ``bundle`` may be a symbolic link.

    Raises:
        NotFoundError: it does not exist.
        MalformedError: not a regular file, or reached through a link.
        MediumError: it cannot be read.
    """
    names = _split_path(path)
    if parse_digest(path) is None:  # not the path of content, which a seal does not replace
        with suppress(NotFoundError):
            return bundle.open_file(NEXT, *names)
    return bundle.open_file(*names)


def read_file(bundle: Path, path: str, limit: int) -> bytes:
    """Read a small file of the bundle; ``limit`` is its maximum size in bytes.

    Raises:
        LimitError: it is larger.
        NotFoundError, MalformedError, MediumError: it cannot be opened, see ``open_file``.
    """
    names = _split_path(path)
    with Directory.open(bundle) as directory:
        with suppress(NotFoundError):
            return directory.read(NEXT, *names, limit=limit)
        return directory.read(*names, limit=limit)


def remove_signatures(bundle: Directory) -> None:
    """Durably remove every signature of the bundle.

    Raises:
        MediumError: one of them cannot be removed.
    """
    signatures = list(filter(_is_signature, bundle.list_names()))
    for name in signatures:
        bundle.remove(name)
    if signatures:
        atomic_write.sync_directory(bundle)


def remove_files(bundle: Directory, paths: Iterable[str]) -> None:
    """Durably remove files below the bundle's directory, and each directory that becomes empty.

    A directory in place of a file is removed with its content; no link is followed.

    Raises:
        MediumError: one of them cannot be removed.
    """
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder_path, _, name = path.rpartition("/")
        folders.setdefault(folder_path, []).append(name)
    for folder_path, files in folders.items():
        names = folder_path.split("/") if folder_path else []
        with bundle.enter(*names) as folder:
            for name in files:
                folder.remove_tree(name)
            atomic_write.sync_directory(folder)
        if not names:
            continue
        with bundle.enter(*names[:-1]) as parent:
            with suppress(OSError):  # not empty
                os.rmdir(names[-1], dir_fd=parent.fd)
            atomic_write.sync_directory(parent)


def _parse_hex(algorithm: str, text: str) -> Digest | None:
    return Digest(f"{algorithm}:{text}") if _HEX[algorithm].fullmatch(text) else None


def _split_path(path: str) -> list[str]:
    if not is_path(path):
        raise MalformedError(f"{path[:MAX_PATH]!r} is not a valid path in a bundle")
    return path.split("/")
