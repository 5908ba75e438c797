"""Verify a bundle: is it complete and undamaged, and who signed it?

Every file is read once, nothing is written, and all problems are collected. The steps are:

1. Scan the directory, without following links or opening files.
2. Verify the signatures of ``bundle.json``, then parse it.
3. Compare SHA256SUMS with its digest in ``bundle.json``, then parse it.
4. Walk the manifests of each image, and check that all files that it needs exist.
5. Hash every listed file, in parallel.

If ``bundle.json`` or SHA256SUMS is damaged, files are still compared with the digests in their
names, so that damaged files are found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bundler.bundle.format import checksums, directory, inventory, store
from bundler.bundle.format.authenticate import authenticate
from bundler.bundle.verifying import image_tree, parallel_hash
from bundler.cancel import Cancellation
from bundler.errors import (
    BundlerError,
    DamagedBundleError,
    DigestMismatchError,
    ExpiredError,
    IntegrityError,
    LimitError,
    MediumError,
    NotFoundError,
    TrustError,
    count,
    shortlist,
)
from bundler.events import Planned, discard
from bundler.oci import image_layout
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import Inventory
    from bundler.events import Emit
    from bundler.trust.keys import PublicKey

_MAX_NAMED = 3
_MAX_UNMEASURED = image_layout.MAX_INDEX  # index.json is the largest file without a listed size

_Listed = dict[str, Digest | None]
"""The expected sha256 of each file; None if only SHA256SUMS specifies it and it is damaged."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of one file."""

    code: str
    """missing, damaged, size, special, surplus, unreadable, malformed or index."""
    path: str
    text: str
    images: tuple[str, ...] = ()
    """The full names of the images that need the file."""

    def __str__(self) -> str:
        if not self.images:
            return f"{self.path}: {self.text}"
        return f"{self.path}: {self.text} (in {shortlist(self.images, _MAX_NAMED)})"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a bundle."""

    findings: tuple[Finding, ...]
    """Damaged, missing and unexpected files, sorted by path."""
    inventory: Inventory | None
    """None: ``bundle.json`` cannot be read."""
    signers: tuple[PublicKey, ...]
    """The given keys that signed the bundle."""
    distrust: TrustError | None
    """The reason why the bundle is not trusted: not authenticated, or expired; None if it is."""
    expired: bool
    files: int
    """The number of files that were hashed."""
    size: int
    """The number of bytes that were hashed; hard links of one file count once."""
    ignored: int
    """The number of files that do not belong to the bundle, such as those of operating systems."""
    unlisted: int
    """The number of content files that are not listed; an interrupted export leaves them."""

    @property
    def whole(self) -> bool:
        """Whether no file is damaged, missing or unexpected."""
        return not self.findings

    def check(self) -> None:
        """Check that the bundle is undamaged, authenticated and not expired.

        Raises:
            DamagedBundleError: it is damaged, whether signed or not.
            TrustError: it is undamaged, but not authenticated, or expired.
        """
        if self.findings:
            raise DamagedBundleError(
                f"the bundle is damaged: {count(len(self.findings), 'finding')}",
                [str(finding) for finding in self.findings],
                hint="copy these files again, or run the export again, which repairs them",
            )
        if self.distrust is not None:
            raise self.distrust

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON; sizes in bytes."""
        known = self.inventory
        return {
            "whole": self.whole,
            "trusted": self.whole and self.distrust is None,
            "distrust": None if self.distrust is None else self.distrust.message,
            "signers": [
                {"id": key.id, "algorithm": key.algorithm, "fingerprint": key.fingerprint}
                for key in self.signers
            ],
            "stream": known and known.stream,
            "serial": known and known.serial,
            "created": known and timestamps.format_utc(known.created),
            "expires": known and known.expires and timestamps.format_utc(known.expires),
            "expired": self.expired,
            "complete": known and known.complete,
            "images": known and len(known.images),
            "files": self.files,
            "size": self.size,
            "ignored": self.ignored,
            "unlisted": self.unlisted,
            "findings": [
                {
                    "code": finding.code,
                    "path": finding.path,
                    "text": finding.text,
                    "images": list(finding.images),
                }
                for finding in self.findings
            ],
        }


def verify(
    bundle: Path,
    keys: Sequence[PublicKey],
    *,
    jobs: int | None = None,
    cancellation: Cancellation | None = None,
    emit: Emit = discard,
    now: datetime | None = None,
) -> Verification:
    """Verify a bundle; damage is returned as findings, not raised.

    Args:
        bundle: the directory of the bundle.
        keys: the keys to trust; without a key, nothing can be authenticated.
        jobs: the number of files to hash in parallel; None: one per core.
        cancellation: ends the run.
        emit: receives the progress of each file as blob events.
        now: the time to compare with the expiry date; None: the current time.

    Raises:
        NotFoundError: the directory does not exist.
        UnsupportedError: the bundle has a newer format.
        LimitError: more files than a bundle may have.
        MediumError: a directory cannot be read.
        CancelledError: ``cancellation`` was requested.
    """
    check = _Check(bundle, directory.scan(bundle))
    known, distrust, signers = _read_inventory(check, keys)
    listed = _read_sums(check, known)
    if known is not None:
        _check_images(check, known)
    check.compare_listed(listed, known)
    check.check_sizes(listed)
    work = check.create_jobs(listed)
    size = sum(content.size for content in work)
    emit(Planned(len(work), size, 0, 0, "check"))
    faults = parallel_hash.hash_all(bundle, work, jobs, cancellation or Cancellation(), emit)
    for path, error in faults.items():
        _add_fault(check, path, error)
    moment = now or datetime.now(UTC)
    expired = known is not None and known.is_expired(moment)
    if known is not None and known.expires is not None and expired and distrust is None:
        distrust = ExpiredError(
            f"the bundle expired at {timestamps.format_utc(known.expires)}",
            hint="export it again; if the clock of this computer is wrong, set it",
        )
    return Verification(
        findings=check.list_findings(),
        inventory=known,
        signers=signers,
        distrust=distrust,
        expired=expired,
        files=sum(len(content.names) for content in work),
        size=size,
        ignored=check.found.ignored,
        unlisted=check.unlisted,
    )


@dataclass(slots=True)
class _Check:
    """The findings so far; not thread-safe, so hashing threads return their errors instead."""

    bundle: Path
    found: directory.DirectoryScan
    findings: dict[str, Finding] = field(default_factory=dict)
    images: dict[str, dict[str, None]] = field(default_factory=dict)
    """The full names of the images that need each file, by path, in the order of the inventory."""
    unlisted: int = 0

    def add(self, code: str, path: str, text: str) -> None:
        """Add a finding, unless the path has one already, which explains the others."""
        self.findings.setdefault(path, Finding(code, path, text))

    def compare_listed(self, listed: _Listed, known: Inventory | None) -> None:
        """Find files that are not listed, and listed files that do not exist.

        Unlisted content is counted, but is not damage: it comes from an export that was interrupted
        before its seal, and no image of this bundle needs it.
        """
        other = directory.BLOBS if known is not None and known.format == "dir" else directory.IMAGES
        for path, entry in self.found.entries.items():
            if entry.kind == "special":
                self.add(
                    "special",
                    path,
                    "not a regular file but a link, a directory, a pipe or a device",
                )
            elif path in listed or not directory.is_listed(path):
                continue
            elif directory.is_content(path) and not path.startswith(f"{other}/"):
                self.unlisted += 1
            else:
                self.add("surplus", path, f"not listed in {directory.SUMS}")
        for path in listed:
            if path not in self.found.entries:
                self.add("missing", path, "missing")

    def check_sizes(self, listed: _Listed) -> None:
        """Find files that are too large to hash, if no manifest specifies their size."""
        for path in listed:
            entry = self.found.entries.get(path)
            measured = path in self.images or directory.parse_digest(path) is not None
            if entry is not None and entry.size > _MAX_UNMEASURED and not measured:
                self.add("size", path, f"{entry.size:,} bytes, at most {_MAX_UNMEASURED:,} allowed")

    def create_jobs(self, listed: _Listed) -> list[parallel_hash.HashJob]:
        """Return the files to hash: listed files that exist and have an expected digest.

        A file that already has a finding is not read, because it may have any size.
        """
        expected = {}
        for path, digest in listed.items():
            digests = dict.fromkeys(filter(None, (digest, directory.parse_digest(path))))
            if digests and path not in self.findings:
                expected[path] = tuple(digests)
        files = [entry for entry in self.found.entries.values() if entry.kind == "file"]
        return parallel_hash.create_jobs(expected, files)

    def list_findings(self) -> tuple[Finding, ...]:
        """Return all findings by path, each with the images that need the file."""
        return tuple(
            Finding(item.code, path, item.text, tuple(self.images.get(path, ())))
            for path, item in sorted(self.findings.items())
        )


def _read_inventory(
    check: _Check, keys: Sequence[PublicKey]
) -> tuple[Inventory | None, TrustError | None, tuple[PublicKey, ...]]:
    """Authenticate the bytes of ``bundle.json``, then parse them."""
    path = directory.INVENTORY
    try:
        authentication = authenticate(check.bundle, keys)
    except NotFoundError:
        check.add("missing", path, "missing: the export or the copy was interrupted")
        return None, None, ()
    except (IntegrityError, LimitError, MediumError) as error:
        check.add("unreadable", path, _format_reason(error, check.bundle, path))
        return None, None, ()
    distrust = authentication.refusal
    if distrust is not None and not isinstance(distrust, TrustError):
        distrust = TrustError(f"a signature cannot be read: {distrust.message}")
    try:
        return inventory.parse(authentication.raw), distrust, authentication.signers
    except (IntegrityError, LimitError) as error:
        check.add("malformed", path, _format_reason(error, check.bundle, path))
        return None, distrust, authentication.signers


def _read_sums(check: _Check, known: Inventory | None) -> _Listed:
    """Read the listed digests; if SHA256SUMS is damaged, return all files without digests."""
    unlisted: _Listed = dict.fromkeys(filter(directory.is_listed, check.found.entries))
    try:
        raw = directory.read_file(check.bundle, directory.SUMS, checksums.MAX_SUMS)
        if known is not None and checksums.describe(raw, known.sums.count) != known.sums:
            check.add("damaged", directory.SUMS, f"digest differs from {directory.INVENTORY}")
            return unlisted
        listed = checksums.parse(raw)
    except NotFoundError:
        check.add("missing", directory.SUMS, "missing")
        return unlisted
    except (IntegrityError, LimitError, MediumError) as error:
        check.add("malformed", directory.SUMS, _format_reason(error, check.bundle, directory.SUMS))
        return unlisted
    if known is not None and len(listed) != known.sums.count:
        files = count(len(listed), "file")
        text = f"lists {files}, but {directory.INVENTORY} counts {known.sums.count}"
        check.add("malformed", directory.SUMS, text)
    return dict(listed)


def _check_images(check: _Check, known: Inventory) -> None:
    """Check that each file that an image needs exists, with the size in its manifest."""
    walked = image_tree.walk(check.bundle, known.format, known.images)
    for image, trees in walked.images:
        for part in (part for tree in trees for part in tree.parts):
            check.images.setdefault(part.path, {})[str(image.reference)] = None
            entry = check.found.entries.get(part.path)
            expected = part.descriptor.size
            if entry is None and part.required:
                check.add("missing", part.path, "missing")
            elif entry is not None and entry.kind == "file" and entry.size != expected:
                text = f"{entry.size:,} bytes instead of {expected:,}"
                check.add("size", part.path, text)
    for path, error in walked.problems.items():
        if path in check.found.entries and check.found.entries[path].kind == "file":
            _add_fault(check, path, error)
    if known.format == "oci":
        _compare_index(check, known)


def _add_fault(check: _Check, path: str, error: BundlerError) -> None:
    match error:
        case DigestMismatchError():
            text = f"its digest is {error.got} instead of {error.expected}"
            check.add("damaged", path, text)
        case MediumError():
            check.add("unreadable", path, _format_reason(error, check.bundle, path))
        case _:
            check.add("malformed", path, _format_reason(error, check.bundle, path))


def _compare_index(check: _Check, known: Inventory) -> None:
    """Compare ``index.json``, which other tools use, with the images of the inventory."""
    roots = {store.format_image_name(image, "oci"): image.digest for image in known.images}
    allowed = {*roots.values(), *(item.digest for one in known.images for item in one.referrers)}
    try:
        raw = directory.read_file(check.bundle, directory.INDEX, image_layout.MAX_INDEX)
        entries = image_layout.LayoutIndex.parse(raw, directory.INDEX).entries
    except NotFoundError:
        check.add("missing", directory.INDEX, "missing")
        return
    except (IntegrityError, LimitError, MediumError) as error:
        check.add(
            "malformed", directory.INDEX, _format_reason(error, check.bundle, directory.INDEX)
        )
        return
    for entry in entries:
        name = image_layout.get_name(entry)
        if entry.digest != roots[name] if name in roots else entry.digest not in allowed:
            label = name or "an entry without a name"
            text = f"{label} is {entry.digest}, which is not in {directory.INVENTORY}"
            check.add("index", directory.INDEX, text)
    named = {image_layout.get_name(entry) for entry in entries}
    for name in (name for name in roots if name not in named):
        check.add("index", directory.INDEX, f"{name} is missing")


def _format_reason(error: BundlerError, bundle: Path, path: str) -> str:
    """Return the message of an error without the path, since the finding begins with the path."""
    return error.message_without(f"{bundle}/", f"{path}: ")
