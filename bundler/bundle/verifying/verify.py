"""Verify that a bundle is complete and undamaged, and determine which keys signed it.

Every file is read once, nothing is written, and all problems are collected. The steps are:

1. Scan the directory, without following links or opening files.
2. Verify the signatures of ``bundle.json``, then parse it.
3. Compare SHA256SUMS with its digest in ``bundle.json``, then parse it.
4. Read the manifests of each image, and check that all files that it needs exist.
5. Hash every listed file, in parallel.

If ``bundle.json`` or SHA256SUMS is damaged, files are still compared with the digests in their
names, so that damaged files are found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.format import read_back_record
from bundler.bundle.format.archive.passed_files import PassedFiles
from bundler.bundle.format.authenticate import authenticate
from bundler.bundle.format.files import bundle_paths, checksums
from bundler.bundle.format.inventory import presupposed
from bundler.bundle.format.inventory.omissions import Omissions
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.format.inventory.read_inventory import create_unfinished_error
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.format.signatures import bundle_signatures as signing, sigstore_copy
from bundler.bundle.verifying import image_checks, parallel_hash, stored_graphs
from bundler.bundle.verifying.findings import Findings
from bundler.bundle.verifying.verification import Verification
from bundler.cancel import Cancellation
from bundler.content.files import part_files
from bundler.errors import (
    NOT_REGULAR,
    DamagedBundleError,
    ExpiredError,
    IntegrityError,
    InvalidSignatureError,
    LimitError,
    MediumError,
    NotFoundError,
    TrustError,
)
from bundler.events import BlobTotal, Completed, Notice, Planned, TransferTotals, discard
from bundler.oci import image_layout
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.authenticate import Authentication
    from bundler.bundle.format.files.bundle_files import DirectoryScan
    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.format.read_back_record import ReadBackRecord
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.format.reading.open_files import AnyLocation
    from bundler.events import Emit
    from bundler.trust.bundle_trust import BundleTrust
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.role_check import UnfitKey

_MAX_MISSING = 10_000  # files that are reported individually
_MAX_UNMEASURED = image_layout.MAX_INDEX  # index.json is the largest file without a listed size
_MAX_PROGRAM = 256 * 1024 * 1024  # bytes of a file of the carried program

_Listed = dict[str, Digest | None]
"""The expected sha256 of each file; None if only SHA256SUMS specifies it and it is damaged."""


def verify(
    bundle: AnyLocation,
    trust: BundleTrust,
    *,
    signature_files: Sequence[Path] = (),
    threads: int | None = None,
    cancellation: Cancellation | None = None,
    emit: Emit = discard,
    now: datetime | None = None,
    uncached: bool = False,
) -> Verification:
    """Verify a bundle; damage is returned as findings, not raised.

    Args:
        bundle: the directory or the archive, or the directories of all volumes.
        trust: the keys to trust; without a key, nothing can be authenticated.
        signature_files: signatures of the bundle that are stored elsewhere.
        threads: the number of files to hash in parallel; None: one per core.
        cancellation: its request ends the verification.
        emit: receives the progress of each file as blob events.
        now: the time to compare with; None: the current time.
        uncached: hash files as read from the medium, not from the page cache.

    Raises:
        NotFoundError: the directory does not exist, or contains no finished bundle; or one of
            ``signature_files`` does not exist.
        ConfigError: one of ``signature_files`` cannot be read.
        DisconnectedMediumError: the medium was disconnected in the meantime.
        UnsupportedError: the bundle has a newer format.
        LimitError: more files than a bundle may have, or one of ``signature_files`` is too large.
        MediumError: a directory cannot be read.
        CancelledError: ``cancellation`` was requested.
    """
    now = now or datetime.now(UTC)
    detached = signing.read_signature_files(signature_files)
    with open_files(bundle) as files:
        findings = Findings(files.location)
        verifier = _Verifier(files, files.scan(), findings)
        if files.has_next():
            problem = f"a renewal was interrupted; its seal is in {bundle_paths.NEXT}"
            emit(Notice(f"{files.location}: {problem}"))
        if {bundle_paths.INVENTORY, bundle_paths.CHECKSUM_FILE}.isdisjoint(verifier.found.entries):
            raise create_unfinished_error(files.location)
        known, trust_error, signers = verifier.read_inventory(trust, detached, now)
        listed = verifier.read_checksum_file(known)
        omissions = Omissions()
        if known is not None:
            verifier.read_presupposed(known)
            omissions = verifier.check_images(known, listed)
            if known.format == "oci":
                image_checks.compare_index(files, known, findings)
        verifier.compare_listed(listed, known)
        cancellation = cancellation or Cancellation()
        hashed = verifier.hash_files(listed, threads, cancellation, emit, uncached=uncached)
        if known is not None and known.recovery is not None:
            from bundler.bundle.recovery.check import check_recovery  # noqa: PLC0415 - if there is

            verified = [bundle_paths.format_signature_name(key.id) for key in signers]
            for path, error in check_recovery(
                files, known, listed, threads, cancellation, verified=verified
            ).items():
                code = "missing" if isinstance(error, NotFoundError) else "damaged"
                findings.add_error(path, error, code)
    return Verification(
        findings=findings.collect(),
        inventory=known,
        signers=signers,
        names=verifier.names,
        unfit=verifier.unfit,
        trust_error=trust_error,
        expired=known is not None and known.is_expired(now),
        files=hashed.blobs,
        size=hashed.size,
        ignored=verifier.found.ignored,
        unlisted=tuple(sorted(verifier.unlisted)),
        foreign=tuple(sorted(verifier.found.foreign)),
        omissions=omissions,
        presupposed=BlobTotal.of([blob.size for blob in verifier.presupposed.values()]),
        read_back=verifier.read_back,
    )


@dataclass(slots=True)
class _Verifier:
    """The steps that read the files of a bundle, and their results."""

    bundle: BundleFiles
    found: DirectoryScan
    findings: Findings
    signatures: dict[str, Digest] = field(default_factory=dict)
    """The digests of the signature files of the images, by path."""
    verified: Mapping[str, Digest] = field(default_factory=dict)
    """The digests of the files that were read and match them, by path."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of keys, by their IDs."""
    unfit: Sequence[UnfitKey] = ()
    """The signers that may not sign the bundle."""
    read_back: ReadBackRecord | None = None
    unlisted: list[str] = field(default_factory=list)
    presupposed: Mapping[Digest, HeldBlob] = field(default_factory=dict)

    def read_inventory(
        self, trust: BundleTrust, detached: Mapping[str, bytes], now: datetime
    ) -> tuple[Inventory | None, TrustError | None, tuple[PublicKey, ...]]:
        """Authenticate the bytes of ``bundle.json``, then parse them.

        Returns the inventory, the reason why the bundle is not trusted, and its signers.
        """
        path = bundle_paths.INVENTORY
        if path not in self.found.entries:
            self.findings.add("missing", path, "missing: the export or the copy was interrupted")
            return None, None, ()
        try:
            authentication = authenticate(self.bundle, trust, detached)
        except (IntegrityError, LimitError, MediumError) as error:
            self.findings.add_error(path, error)
            return None, None, ()
        self._check_sigstore_copy(authentication)
        self.names = authentication.trust.names
        self.read_back = read_back_record.read(self.bundle, authentication.raw)
        contents, trust_error = None, authentication.trust_error
        try:
            contents = parse_inventory(authentication.raw)
            trust_error = authentication.check_contents(contents, now)
            self.unfit = authentication.trust.find_unfit(
                authentication.signers, contents.stream, contents.created
            )
        except (IntegrityError, LimitError) as error:
            self.findings.add_error(path, error)
        if trust_error is not None and not isinstance(trust_error, TrustError):
            if isinstance(trust_error, IntegrityError | MediumError):  # as for an import
                unread = (trust_error.path or path).removeprefix(f"{self.bundle.location}/")
                self.findings.add_error(unread, trust_error)
            trust_error = TrustError(f"a signature cannot be read: {trust_error.message}")
        expires = contents.expires if contents is not None and contents.is_expired(now) else None
        if expires is not None and trust_error is None:
            trust_error = ExpiredError(
                f"the bundle expired on {timestamps.format_to_minute(expires)}",
                hint="export it again; if the clock of this computer is wrong, set it",
            )
        return contents, trust_error, authentication.signers

    def _check_sigstore_copy(self, authentication: Authentication) -> None:
        """Check the signature in the format of cosign, unless the others are in doubt."""
        path = bundle_paths.SIGSTORE_BUNDLE
        if path not in self.found.entries or isinstance(
            authentication.trust_error, InvalidSignatureError
        ):
            return
        try:
            copy = self.bundle.read(path, sigstore_copy.MAX_COPY)
            keys = authentication.trust.keys
            sigstore_copy.check(copy, authentication.raw, authentication.signatures, keys)
        except (IntegrityError, LimitError, MediumError) as error:
            self.findings.add_error(path, error, "damaged")

    def read_checksum_file(self, known: Inventory | None) -> _Listed:
        """Read the listed digests; if SHA256SUMS is damaged, return all files without digests."""
        path = bundle_paths.CHECKSUM_FILE
        unlisted: _Listed = {
            name: None
            for name in filter(bundle_paths.is_listed, self.found.entries)
            if not part_files.is_part(name.rpartition("/")[2])
        }
        try:
            raw = self.bundle.read(path, checksums.MAX_CHECKSUM_FILE)
            if (
                known is not None
                and checksums.describe(raw, known.checksum_file.count) != known.checksum_file
            ):
                self.findings.add("damaged", path, f"digest differs from {bundle_paths.INVENTORY}")
                return unlisted
            listed = checksums.parse(raw)
        except NotFoundError:
            self.findings.add("missing", path, "missing")
            return unlisted
        except (IntegrityError, LimitError, MediumError) as error:
            self.findings.add_error(path, error)
            return unlisted
        if known is not None and len(listed) != known.checksum_file.count:
            expected = f"{known.checksum_file.count:,}"
            text = f"wrong number of files (expected {expected}, got {len(listed):,})"
            self.findings.add("malformed", path, text)
        return dict(listed)

    def read_presupposed(self, known: Inventory) -> None:
        """Read the list of the presupposed blobs, if there is one."""
        try:
            self.presupposed = presupposed.read(self.bundle, known)
        except DamagedBundleError:
            is_missing = bundle_paths.PRESUPPOSED not in self.found.entries
            problem = "missing" if is_missing else f"digest differs from {bundle_paths.INVENTORY}"
            self.findings.add(
                "missing" if is_missing else "damaged", bundle_paths.PRESUPPOSED, problem
            )
        except (IntegrityError, LimitError, MediumError) as error:
            self.findings.add_error(bundle_paths.PRESUPPOSED, error)

    def check_images(self, known: Inventory, listed: _Listed) -> Omissions:
        """Compare the images with the files; return the content that the bundle lacks."""
        graphs = stored_graphs.read_graphs(
            self.bundle, known.format, known.images, with_configs=True
        )
        self.verified = graphs.verified
        omissions = image_checks.check_images(
            graphs,
            self.found,
            listed.keys(),
            self.findings,
            presupposed=self.presupposed,
        )
        self.signatures = image_checks.check_signatures(
            self.found, known, listed.keys(), self.findings
        )
        return omissions

    def compare_listed(self, listed: _Listed, known: Inventory | None) -> None:
        """Find files that are not listed, and listed files that are missing or too large.

        Unlisted content is named, but is not damage: it comes from an export that was interrupted
        before its seal, and no image of this bundle needs it.
        """
        folders = {"oci": bundle_paths.BLOBS, "dir": bundle_paths.IMAGES}
        own = [folders[known.format]] if known is not None else list(folders.values())
        own.append(bundle_paths.SIGNATURES)
        recovery = set(known.recovery.paths if known is not None and known.recovery else ())
        for path, entry in self.found.entries.items():
            if entry.kind == "special":
                self.findings.add("special", path, NOT_REGULAR)
            elif path in listed or path in recovery:
                continue
            elif bundle_paths.is_recovery(path) and known is not None:
                self.unlisted.append(path)
            elif not bundle_paths.is_listed(path):
                continue
            elif bundle_paths.is_program(path) or (
                bundle_paths.is_content(path) and path.split("/")[0] in own
            ):
                self.unlisted.append(path)
            else:
                self.findings.add("surplus", path, f"not listed in {bundle_paths.CHECKSUM_FILE}")
        missing = [path for path in listed if path not in self.found.entries]
        for path in missing[:_MAX_MISSING]:
            self.findings.add("missing", path, "missing")
        if (more := len(missing) - _MAX_MISSING) > 0:
            self.findings.add(
                "missing", bundle_paths.CHECKSUM_FILE, f"lists {more:,} more missing files"
            )
        for path in listed.keys() & self.found.entries.keys():
            known_file = self.found.entries[path]
            has_size = path in self.findings.images or bundle_paths.parse_digest(path) is not None
            largest = _MAX_PROGRAM if bundle_paths.is_program(path) else _MAX_UNMEASURED
            if known_file.size > largest and not has_size:
                limit = f"at most {largest:,} bytes"
                text = f"too large (expected {limit}, got {known_file.size:,})"
                self.findings.add("size", path, text)

    def hash_files(
        self,
        listed: _Listed,
        threads: int | None,
        cancellation: Cancellation,
        emit: Emit,
        *,
        uncached: bool,
    ) -> BlobTotal:
        """Hash the listed files that exist and have an expected digest; return their total.

        A file that already has a finding is not read, because it may have any size. With
        ``uncached``, files are read from the medium even if they were read and verified before.
        """
        expected = {}
        for path, digest in listed.items():
            named, signed = bundle_paths.parse_digest(path), self.signatures.get(path)
            digests = dict.fromkeys(filter(None, (digest, named, signed)))
            if digests and path not in self.findings.by_path:
                expected[path] = tuple(digests)
        files = [entry for entry in self.found.entries.values() if entry.kind == "file"]
        jobs = parallel_hash.create_jobs(expected, files, self.found.joined)
        total = BlobTotal(sum(len(job.expected) for job in jobs), sum(job.size for job in jobs))
        totals = TransferTotals(checked=total)
        emit(Planned(totals, "check"))
        if isinstance(self.bundle, PassedFiles):
            faults = self.bundle.compare(expected)
        else:
            faults = parallel_hash.hash_all(
                self.bundle,
                jobs,
                threads,
                cancellation,
                emit,
                uncached=uncached,
                verified={} if uncached else self.verified,
            )
        self.bundle.check_connected()
        for path, error in faults.items():
            self.findings.add_error(path, error)
        emit(Completed(totals))
        return total
