"""Writer of manifests to one repository, with one PUT for each manifest where possible.

A pushed manifest is held until the index that lists it is pushed, or until the commit. The root of
an image is therefore stored under its tag only: a second PUT by digest would be redundant, and some
registries accept none.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from bundler.errors import (
    RefusedRequestError,
    RegistryError,
    UnsupportedError,
    UntaggedManifestError,
)
from bundler.oci import manifest, media_types
from bundler.oci.manifest import Index
from bundler.transports.docker.sized_cache import LIMIT, SizedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bundler.errors import BundlerError
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.registry.repository import Repository

_PARALLEL = 8
_REFUSALS = frozenset({"MANIFEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})
_REFUSED = (400, 405, 406, 413, 415, 422, 501)  # statuses of a registry that refuses a referrer
_NO_DIGESTS = frozenset({"UNSUPPORTED", "TAG_INVALID", "NAME_INVALID"})
_HINT = (
    "the manifest lists foreign layers: allow their URLs in the registry"
    " (validation.manifests.urls.allow of the distribution registry)"
)

Item = TypeVar("Item")


class ManifestWriter:
    """Writer of manifests; thread-safe."""

    def __init__(self, repository: Repository) -> None:
        self.listed: set[Digest] = set()
        """Manifests that the registry itself lists as referrers."""
        self.refused: dict[Digest, BundlerError] = {}
        """The errors of referrers that the registry refuses."""
        self._repository = repository
        self._cache = SizedCache[bytes]()
        self._held: dict[Digest, tuple[Descriptor, bytes]] = {}
        self._size = 0
        self._lock = threading.Lock()
        self._locks: defaultdict[Digest, threading.Lock] = defaultdict(threading.Lock)

    def holds(self, digest: Digest) -> bool:
        """Return whether a manifest was pushed, and is not stored yet."""
        return digest in self._held

    def push(self, descriptor: Descriptor, raw: bytes) -> None:
        """Hold a manifest; store the held manifests that it lists."""
        if descriptor.media_type in media_types.INDEXES:
            parsed = manifest.parse(raw, descriptor.media_type, subject=f"{descriptor.digest}")
            if isinstance(parsed, Index):
                listed = [item.digest for item in parsed.manifests if self.holds(item.digest)]
                _run_parallel(self._store, listed)
        self._cache.put(descriptor.digest, raw, len(raw))
        with self._lock:
            if descriptor.digest not in self._held:
                self._size += len(raw)
            self._held[descriptor.digest] = (descriptor, raw)
            is_full = self._size > LIMIT
        if is_full:
            self._store(descriptor.digest)

    def publish(
        self, roots_by_tag: dict[str, Descriptor], referrers: Collection[Digest] = ()
    ) -> None:
        """Store all held manifests: roots under their tags, the others first, by digest.

        Those of ``referrers`` that the registry refuses are left out, and recorded in ``refused``.
        """
        tagged = {root.digest for root in roots_by_tag.values()}

        def store(digest: Digest) -> None:
            with self.permit_refusal(digest, referrers):
                self._store(digest)

        def publish_tag(tag: str) -> None:
            root = roots_by_tag[tag]
            with self.permit_refusal(root.digest, referrers):
                self._put(tag, root, self.read(root))
                self._release(root.digest)

        _run_parallel(store, [digest for digest in list(self._held) if digest not in tagged])
        _run_parallel(publish_tag, list(roots_by_tag))

    @contextmanager
    def permit_refusal(self, digest: Digest, referrers: Collection[Digest]) -> Iterator[None]:
        """Record the refusal of a manifest that is one of ``referrers``; raise other errors."""
        try:
            yield
        except (RegistryError, UnsupportedError) as error:
            status = error.exchange.status if error.exchange else None
            if digest not in referrers or status not in _REFUSED:
                raise
            self.refused[digest] = error
            self._release(digest)

    def read(self, root: Descriptor) -> bytes:
        """Return the bytes of a manifest, from memory or the registry."""
        held = self._held.get(root.digest)
        raw = self._cache.get(root.digest) if held is None else held[1]
        if raw is None:
            found, raw = self._repository.get_manifest(root.digest)
            manifest.verify(raw, found, f"{self._repository.name}@{root.digest}")
            self._cache.put(root.digest, raw, len(raw))
        return raw

    def _store(self, digest: Digest) -> None:
        """Store a held manifest by its digest; wait if another thread is storing it."""
        with self._locks[digest]:
            held = self._held.get(digest)
            if held is None:
                return
            try:
                self._put(digest, *held)
            except (RegistryError, UnsupportedError) as error:
                if error.exchange is None:
                    raise
                codes = {entry.code for entry in error.exchange.entries}
                if error.exchange.status not in (405, 501) and codes.isdisjoint(_NO_DIGESTS):
                    raise  # for another reason than that its version is a digest
                subject = f"{self._repository.name}@{digest}"
                raise UntaggedManifestError(subject, digest.text, error) from error
            self._release(digest)

    def _release(self, digest: Digest) -> None:
        with self._lock:
            held = self._held.pop(digest, None)
            self._size -= 0 if held is None else len(held[1])

    def _put(self, version: str | Digest, root: Descriptor, raw: bytes) -> None:
        """Push a manifest, and record whether the registry lists it as a referrer."""
        try:
            subject = self._repository.put_manifest(version, root.media_type, raw)
        except RegistryError as error:
            if _REFUSALS.isdisjoint(error.codes):
                raise
            parsed = manifest.parse(raw, root.media_type, subject=f"{root.digest}")
            children = (item for item, _ in manifest.list_children(parsed))
            if not any(media_types.is_foreign(item.media_type, item.urls) for item in children):
                raise
            refusal = RefusedRequestError(
                error.message, status=error.status, codes=error.codes, hint=_HINT
            )
            refusal.exchange = error.exchange
            raise refusal from error
        if subject is not None:
            self.listed.add(root.digest)


def _run_parallel(perform: Callable[[Item], None], items: list[Item]) -> None:
    """Perform an action for each item; raise the first error."""
    if len(items) <= 1:
        for item in items:
            perform(item)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for several manifests only

    with ThreadPoolExecutor(min(_PARALLEL, len(items))) as threads:
        list(threads.map(perform, items))
