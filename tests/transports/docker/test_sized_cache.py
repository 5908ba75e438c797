"""The cache of manifests and signatures is limited by their total size."""

from __future__ import annotations

from bundler.oci.digest import Digest
from bundler.transports.docker.sized_cache import LIMIT, SizedCache


def put(cache, data):
    digest = Digest.of(data)
    cache.put(digest, data, len(data))
    return digest


def test_oldest_value_is_removed_to_make_room():
    cache = SizedCache()
    oldest = put(cache, b"a" * (LIMIT // 2))
    newer = put(cache, b"b" * (LIMIT // 2))
    newest = put(cache, b"c")
    assert cache.get(oldest) is None
    assert cache.get(newer) is not None
    assert cache.get(newest) == b"c"


def test_value_that_is_put_again_counts_once():
    cache = SizedCache()
    repeated = [put(cache, b"a" * (LIMIT // 2)) for _ in range(3)]
    other = put(cache, b"b" * (LIMIT // 2))
    assert cache.get(repeated[0]) is not None
    assert cache.get(other) is not None


def test_take_removes_the_value():
    cache = SizedCache()
    digest = put(cache, b"a")
    assert cache.take(digest) == b"a"
    assert cache.take(digest) is None


def test_values_without_content_need_no_room():
    cache = SizedCache()
    digests = [Digest.of(bytes([number])) for number in range(200)]
    for digest in digests:
        cache.put(digest, (), 0)
    assert all(cache.get(digest) == () for digest in digests)
