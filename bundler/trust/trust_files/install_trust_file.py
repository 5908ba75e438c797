"""Install the first trust file of a site."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import hold
from bundler.errors import ConfigError, ConflictError, TrustFileError
from bundler.trust.trust_files import trust_file, trust_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.trust.bundle_trust import SignedDocument
    from bundler.trust.trust_files.trust_store import TrustStore


def install(
    path: Path,
    document: SignedDocument,
    fingerprint: str,
    *,
    record: Callable[[TrustStore], None] | None = None,
) -> TrustStore:
    """Store the first trust file of a site.

    Args:
        path: the file ``trust.json``.
        document: the trust file, and its signatures.
        fingerprint: the digits of its SHA-256.
        record: records that it replaces another one, before it does; None: it must not.

    Raises:
        TrustFileError: it has another fingerprint, or is not valid.
        InvalidSignatureError, UnsignedTrustFileError: its own keys have not signed it.
        ConflictError: the site has another trust file, and ``record`` is None.
        MediumError: it cannot be stored.
    """
    actual = hashlib.sha256(document.raw).hexdigest()
    if actual != fingerprint:
        raise TrustFileError(
            f"trust file: wrong fingerprint (expected {trust_file.format_fingerprint(fingerprint)},"
            f" got {trust_file.format_fingerprint(actual)})",
            problem="fingerprint",
            hint="compare the fingerprint with its owner; do not use this file",
        )
    content = trust_file.parse(document.raw, "trust file")
    trust_file.check_threshold(document, content, "trust file")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path.parent}: {error.strerror}", path=str(path.parent)) from None
    with Directory.open(path.parent) as folder, hold(folder):
        if path.exists() and record is None and trust_store.read_file(path) != document.raw:
            raise ConflictError(
                f"{path}: the site has another trust file",
                path=str(path),
                hint="apply a newer version with airbundle trust update; to start anew, add"
                " --replace --reason TEXT",
            )
        store = trust_store.TrustStore(path, document.raw, content)
        if record is not None:
            record(store)
            for name in trust_store.list_history(folder):
                with folder.enter(trust_store.HISTORY) as history:
                    history.remove(name)
        trust_store.write_version(folder, path.name, content.version, document)
    return store
