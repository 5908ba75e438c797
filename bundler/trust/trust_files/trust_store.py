"""The trust store of a site: its current trust file, and all versions up to it.

    trust.json                                 the current version
    trust/<n>.trust.json                       each version
    trust/<n>.trust.json.<16 hex>.sig          its signatures

The current version is replaced last and atomically. It is trusted as it is: its signatures are
verified when it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bundler.config import config_file
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import hold
from bundler.errors import (
    ConfigError,
    ConflictError,
    InvalidSignatureError,
    MediumError,
    MissingFileError,
    NoSpaceError,
    NotFoundError,
    TrustError,
    TrustFileError,
    UnauthenticatedError,
    UnsignedTrustFileError,
)
from bundler.oci.digest import Digest
from bundler.oci.json.timestamps import format_to_minute
from bundler.trust.bundle_trust import SignedDocument
from bundler.trust.trust_files import role_check, trust_file
from bundler.trust.trust_files.removed_keys import find_removed_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from bundler.trust.bundle_trust import ReadChain
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.removed_keys import RemovedKey
    from bundler.trust.trust_files.role_check import UnfitKey
    from bundler.trust.trust_files.trust_file import TrustFile

HISTORY = "trust"
_MAX_SIGNATURES = 32
_MAX_SIGNATURE = 64 * 1024


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The trust file of a site as the trust in the signers of bundles."""

    path: Path
    """The file ``trust.json``."""
    raw: bytes = field(repr=False)
    content: TrustFile
    read_only: bool = False
    """Whether newer versions are used, but not stored."""
    notify: Callable[[str], None] | None = field(default=None, repr=False, compare=False)
    """Receives a line for each newer version that is used."""
    record: Callable[[TrustStore], None] | None = field(default=None, repr=False, compare=False)
    """Receives the trust file with each newer version, after it was stored."""
    applied: Mapping[int, SignedDocument] = field(default_factory=dict, repr=False, compare=False)
    """The versions that ``follow`` applied, of which some may not be stored."""

    @property
    def version(self) -> int:
        """The version of the trust file."""
        return self.content.version

    @property
    def threshold(self) -> int:
        """The number of keys with the role ``bundle`` that must sign."""
        role = self.content.roles.get("bundle")
        return 1 if role is None else role.threshold

    @property
    def digest(self) -> Digest:
        """The SHA-256 of the trust file."""
        return Digest.of(self.raw)

    @property
    def expires(self) -> datetime | None:
        """The end of the validity of the trust file; None: never."""
        return self.content.expires

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """All keys of the trust file: those that do not count are named in errors."""
        return tuple(key.public for key in self.content.keys.values())

    @property
    def bundle_keys(self) -> tuple[PublicKey, ...]:
        """The keys with the role ``bundle``."""
        return tuple(key.public for key in self.content.get_keys("bundle").values())

    @property
    def names(self) -> Mapping[str, str]:
        """The comments of the keys, by key ID."""
        return {key_id: key.comment for key_id, key in self.content.keys.items() if key.comment}

    def follow(self, read_chain: ReadChain) -> TrustStore:
        """Apply the newer versions in a chain, one by one, and store each of them.

        Raises:
            InvalidSignatureError, UnsignedTrustFileError: the former one has not signed a version.
            TrustFileError: a version is missing, malformed, or differs from the one that is known.
            ConflictError: another process stored other versions meanwhile.
            MediumError: a version cannot be stored.
        """
        chain = read_chain(1)
        self._refuse_forks(chain)
        store = self
        while document := chain.get(store.version + 1):
            store = store._advance(document)
        if store is not self and not self.read_only and read_file(self.path) != store.raw:
            raise ConflictError(
                f"{self.path}: was changed by another process", hint="run the command again"
            )
        later = [version for version in chain if version > store.version]
        if later:
            raise TrustFileError(
                f"trust file: version {store.version + 1} is missing (the site has version"
                f" {store.version}, the next one here is {min(later)})",
                problem="gap",
                version=store.version + 1,
                hint=f"apply version {store.version + 1} first: airbundle trust update"
                f" {store.version + 1}.trust.json, or a bundle that carries all versions",
            )
        return store

    def _advance(self, document: SignedDocument) -> TrustStore:
        """Verify the next version, and store it."""
        subject = f"trust file, version {self.version + 1}"
        content = trust_file.parse_next(self.content, document, subject)
        if not self.read_only:
            try:
                with Directory.open(self.path.parent) as folder, hold(folder):
                    if folder.read(self.path.name, limit=trust_file.MAX_TRUST_FILE) == self.raw:
                        write_version(folder, self.path.name, content.version, document)
                    # Otherwise, another run has applied this version, which ``follow`` checks.
            except NoSpaceError:
                raise
            except MediumError as error:
                error.hint = (
                    "the newer version of the trust file is stored first: run airbundle trust"
                    f" update SOURCE --trust {self.path} as a user who can write there"
                )
                raise
        if self.notify is not None:
            used = "used" if self.read_only else "stored"
            self.notify(f"{self.path}: version {content.version} of the trust file is {used}")
        applied = {**self.applied, content.version: document}
        newer = replace(self, raw=document.raw, content=content, applied=applied)
        if self.record is not None and not self.read_only:
            self.record(newer)
        return newer

    def follows_on(self, version: int, digest: Digest) -> bool:
        """Whether a file with this digest is this one, or a former version that led to it."""
        documents = {**read_history(self.path), **self.applied}
        if version == self.version:
            return digest == self.digest
        if version not in documents or Digest.of(documents[version].raw) != digest:
            return False
        try:
            content = trust_file.parse(documents[version].raw, "trust file")
            for number in range(version + 1, self.version + 1):
                content = trust_file.parse_next(content, documents[number], "trust file")
        except (KeyError, TrustError):
            return False
        return documents[self.version].raw == self.raw

    def _refuse_forks(self, chain: Mapping[int, SignedDocument]) -> None:
        known = read_history(self.path) | {self.version: SignedDocument(self.raw, {})}
        for version, document in sorted(chain.items()):
            if version not in known or known[version].raw == document.raw:
                continue
            # Without the version before, its own holders decide: they signed the first one.
            judge = trust_file.parse(known.get(version - 1, known[version]).raw, "trust file")
            try:
                trust_file.check_threshold(document, judge, "trust file")
            except (UnsignedTrustFileError, InvalidSignatureError):
                raise TrustFileError(
                    f"trust file: version {version} in the bundle is not signed by the keys of this"
                    f" site (it differs from the one in {self.path.parent / HISTORY})",
                    problem="signers",
                    version=version,
                    hint="the bundle is of a side with another trust file, or its copy was changed:"
                    " compare the fingerprints with airbundle trust show FILE",
                ) from None
            raise TrustFileError(
                f"trust file: there are two different files with version {version}",
                problem="fork",
                version=version,
                hint="find out who signed both: compare airbundle trust show at each site",
            )

    def check_signers(self, signers: Sequence[PublicKey], signed_by: Sequence[str]) -> None:
        """Check that enough keys with the role ``bundle`` signed.

        Raises:
            UnfitSignerError: they did not, and a key with another role signed.
            TooFewSignersError, UnauthenticatedError: they did not.
        """
        allowed = self.content.get_keys("bundle")
        unfit = [
            role_check.UnfitKey(key.id, "role", "does not have the role bundle")
            for key in signers
            if key.id not in allowed
        ]
        fit = [key for key in signers if key.id in allowed]
        try:
            role_check.check_bundle_signers(
                self.path, self.content, fit, unfit, signed_by=signed_by
            )
        except UnauthenticatedError as error:
            for key in self.find_removed():
                if key.public.id[:16] in signed_by:
                    error.message += f"; version {key.version} removed key {key.label}"
            raise

    def check_bundle(
        self, signers: Sequence[PublicKey], stream: str, created: datetime, now: datetime
    ) -> tuple[PublicKey, ...]:
        """Check that enough of the keys may sign this stream, and could at the time of signing.

        Returns the keys that may.

        Raises:
            TrustFileError: the trust file has expired.
            UnfitSignerError, TooFewSignersError: too few keys may sign the bundle.
        """
        self.check_expiry(now)
        unfit = self.find_unfit(signers, stream, created)
        excluded = {key.key_id for key in unfit}
        fit = tuple(key for key in signers if key.id not in excluded)
        limited = [key for key in unfit if key.problem != "role"]
        role_check.check_bundle_signers(self.path, self.content, fit, limited, stream=stream)
        return fit

    def find_unfit(
        self, signers: Sequence[PublicKey], stream: str, created: datetime
    ) -> list[UnfitKey]:
        """Return those of ``signers`` that may not sign a bundle, and the reasons."""
        return role_check.find_unfit(self.content, "bundle", signers, stream, created)

    def find_removed(self) -> tuple[RemovedKey, ...]:
        """Return the keys that only former versions of the trust file contain."""
        known = read_history(self.path) if self.path.parent.exists() else {}
        return find_removed_keys(known, self.content)

    def read_all_names(self) -> dict[str, str]:
        """Return the comments of the keys by ID, also of those that were removed."""
        removed = {key.public.id: key.comment for key in self.find_removed() if key.comment}
        return {**removed, **self.names}

    def check_receipt_signers(
        self, keys: Sequence[PublicKey], stream: str, moment: datetime
    ) -> None:
        """Check that ``keys`` may sign a receipt, if there are keys with the role ``receipt``.

        Raises:
            UnfitSignerError: one of them may not.
        """
        role_check.check_receipt_signers(self.content, keys, stream, moment)

    def check_expiry(self, now: datetime) -> None:
        """Check that the validity of the trust file has not ended.

        Raises:
            TrustFileError: it has.
        """
        expires = self.content.expires
        if expires is not None and now >= expires:
            raise TrustFileError(
                f"{self.path}: the trust file expired on {format_to_minute(expires)}",
                problem="expired",
                version=self.version,
                hint="get the next version, and apply it: airbundle trust update FILE; if the clock"
                " of this computer is wrong, set it",
            )


def load(
    path: Path,
    *,
    read_only: bool = False,
    notify: Callable[[str], None] | None = None,
    record: Callable[[TrustStore], None] | None = None,
    installed: bool = True,
) -> TrustStore:
    """Read the current trust file of a site; ``installed``: it is one, and not a draft.

    Raises:
        MissingFileError: it does not exist.
        ConfigError: it cannot be read, or is not valid.
    """
    raw = read_file(path)
    try:
        content = trust_file.parse(raw, str(path))
    except TrustFileError as error:
        raise ConfigError(
            error.message,
            path=str(path),
            hint="restore the file, or install it again: airbundle trust init FILE"
            if installed
            else "specify a trust file, as airbundle trust add and trust rotate write it",
        ) from None
    return TrustStore(path, raw, content, read_only, notify, record)


def read_document(path: Path) -> SignedDocument:
    """Read a trust file, and the signatures beside it (``FILE.<16 hex>.sig``), unverified.

    Raises:
        MissingFileError: it does not exist.
        ConfigError, LimitError: it cannot be read.
    """
    raw = read_file(path)
    with Directory.open(path.parent) as folder:
        prefix = f"{path.name}."
        names = [
            name
            for name in folder.list_names()
            if name.startswith(prefix) and name.endswith(".sig") and len(name) == len(prefix) + 20
        ][:_MAX_SIGNATURES]
        signatures = {
            name[len(prefix) : -4]: folder.read(name, limit=_MAX_SIGNATURE) for name in names
        }
    return SignedDocument(raw, signatures)


def read_history(path: Path) -> dict[int, SignedDocument]:
    """Read the versions that the store of ``path`` contains, with their signatures."""
    folder = path.parent / HISTORY
    documents = {}
    with Directory.open(path.parent) as parent:
        names = list_history(parent)
    for name in names:
        number, _, rest = name.partition(".")
        if rest == "trust.json" and number.isdecimal():
            documents[int(number)] = read_document(folder / name)
    return documents


def read_file(path: Path) -> bytes:
    """Read a trust file, which may be on a medium.

    Raises:
        MissingFileError: it does not exist.
        ConfigError: it cannot be read, is too large, or is not a regular file.
    """
    if (raw := config_file.read(path)) is None:
        raise MissingFileError(str(path))
    if len(raw) > trust_file.MAX_TRUST_FILE:
        problem = (
            f"too large for a trust file (expected at most {trust_file.MAX_TRUST_FILE:,} bytes)"
        )
        raise ConfigError(f"{path}: {problem}", path=str(path))
    return raw


def list_history(parent: Directory) -> list[str]:
    """Return the names of the stored versions and signatures, beside the file in ``parent``."""
    try:
        with parent.enter(HISTORY) as history:
            return history.list_names()
    except NotFoundError:
        return []


def write_version(folder: Directory, name: str, version: int, document: SignedDocument) -> None:
    """Store a version durably: its signatures, then the file, then as the current version."""
    with folder.enter(HISTORY, create=True) as history:
        stored = f"{version}.trust.json"
        for key_id, signature in document.signatures.items():
            atomic_write.write_bytes_in(history, f"{stored}.{key_id}.sig", signature)
        atomic_write.write_bytes_in(history, stored, document.raw)
    atomic_write.sync_directory(folder)
    atomic_write.write_bytes_in(folder, name, document.raw)
