"""Hypothesis strategies for parsed input."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Sequence

HEX = "0123456789abcdef"
LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"

digests = st.one_of(
    st.text(HEX, min_size=64, max_size=64).map(lambda text: Digest(f"sha256:{text}")),
    st.text(HEX, min_size=128, max_size=128).map(lambda text: Digest(f"sha512:{text}")),
)

_labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
_hosts = st.one_of(
    st.lists(_labels, min_size=2, max_size=4).map(".".join),
    st.just("localhost"),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address.exploded}]"),
)
_ports = st.one_of(st.just(""), st.integers(0, 65_535).map(lambda port: f":{port}"))
domains = st.one_of(
    st.builds(str.__add__, _hosts, _ports),
    st.builds("{}:{}".format, _labels, st.integers(1, 65_535)),
)

_components = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
repository_paths = st.lists(_components, min_size=1, max_size=4).map("/".join)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True)

references = st.builds(
    ImageReference,
    # On Docker Hub, a path has at least two components.
    domain=domains,
    path=repository_paths,
    tag=st.none() | tags,
    digest=st.none() | digests,
)

platforms = st.builds(
    Platform,
    os=st.sampled_from(["linux", "windows", "darwin", "plan9"]),
    architecture=st.sampled_from(["amd64", "arm64", "arm", "s390x", "riscv64"]),
    variant=st.none() | st.sampled_from(["v5", "v6", "v7", "v8", "v9"]),
    os_version=st.none() | st.just("10.0.17763.1"),
    os_features=st.just(()) | st.just(("win32k",)),
)

descriptors = st.builds(
    Descriptor,
    media_type=st.sampled_from(sorted(media_types.MANIFESTS | media_types.FOREIGN_LAYERS)),
    digest=digests,
    size=st.integers(0, 2**63 - 1),
    urls=st.just(()) | st.just(("https://example.com/layer",)),
    annotations=st.dictionaries(st.text(min_size=1), st.text(), max_size=3),
    platform=st.none() | platforms,
    artifact_type=st.none() | st.just("application/vnd.example.v1"),
)

# Values on which strict JSON and json.loads agree: 64-bit integers, finite floats, no surrogates.
_characters = st.characters(exclude_categories=["Cs"])
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(_characters),
)


def documents(scalars: st.SearchStrategy[object] = _scalars) -> st.SearchStrategy[object]:
    """JSON values of any shape, made of ``scalars``."""
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(_characters), inner, max_size=4)
        ),
        max_leaves=20,
    )


canonical_documents = documents(_scalars.filter(lambda value: not isinstance(value, float)))


class Chunked:
    """A stream that returns ``data`` in chunks of the given sizes, then as requested."""

    def __init__(self, data: bytes, sizes: Sequence[int] = ()) -> None:
        self._stream = io.BytesIO(data)
        self._sizes = iter(sizes)

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(size)

    def readinto(self, buffer: memoryview, /) -> int:
        room = min(len(buffer), next(self._sizes, len(buffer)))
        return self._stream.readinto(buffer[:room])


chunk_sizes = st.lists(st.integers(1, 9), max_size=30)
