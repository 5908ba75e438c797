"""The keys that earlier versions of a trust file contain, and the current one does not.

They are trusted for nothing. An error names them, so that a rotation can be told from a forgery.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bundler.errors import TrustFileError
from bundler.trust.trust_files import trust_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.trust.bundle_trust import SignedDocument
    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.trust_file import TrustFile


class RemovedKey(NamedTuple):
    """A key, its label in messages, the version of the trust file without it, and its comment."""

    public: PublicKey
    label: str
    version: int
    comment: str


def find_removed_keys(
    history: Mapping[int, SignedDocument], current: TrustFile
) -> tuple[RemovedKey, ...]:
    """Return the keys in the versions of ``history`` before ``current`` that it does not contain.

    If versions between are not known, the version of a removed key is the first known one without
    it. A version that cannot be parsed is left out.
    """
    versions = {current.version: current}
    for version, document in history.items():
        if version < current.version:
            try:
                versions[version] = trust_file.parse(document.raw, "trust file")
            except TrustFileError:
                continue
    numbers, removed = sorted(versions), {}
    for version, following in pairwise(numbers):
        for key_id, key in versions[version].keys.items():
            if key_id not in versions[following].keys and key_id not in current.keys:
                removed[key_id] = RemovedKey(key.public, key.label, following, key.comment)
    return tuple(removed.values())
