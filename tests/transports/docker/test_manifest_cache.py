"""The cache of manifests is limited by their total size."""

from __future__ import annotations

from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.transports.docker.manifest_cache import LIMIT, ManifestCache


def put(cache, data):
    digest = Digest.of(data)
    cache.put(Descriptor("application/x", digest, len(data)), data)
    return digest


def test_oldest_manifest_is_removed_to_make_room():
    cache = ManifestCache()
    oldest = put(cache, b"a" * (LIMIT // 2))
    newer = put(cache, b"b" * (LIMIT // 2))
    newest = put(cache, b"c")
    assert cache.get(oldest) is None
    assert cache.get(newer) is not None
    assert cache.get(newest) == b"c"


def test_manifest_that_is_put_again_counts_once():
    cache = ManifestCache()
    repeated = [put(cache, b"a" * (LIMIT // 2)) for _ in range(3)]
    other = put(cache, b"b" * (LIMIT // 2))
    assert cache.get(repeated[0]) is not None
    assert cache.get(other) is not None


def test_take_removes_the_manifest():
    cache = ManifestCache()
    digest = put(cache, b"a")
    assert cache.take(digest) == b"a"
    assert cache.take(digest) is None
