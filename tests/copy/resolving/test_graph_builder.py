"""Manifests of an index that its source does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from bundler.copy.resolving.graph_builder import read_child
from bundler.errors import CancelledError, NotFoundError
from bundler.oci import manifest
from tests.fakes import images

if TYPE_CHECKING:
    from bundler.copy.resolving.graph_builder import ReadManifest
    from bundler.oci.descriptor import Descriptor


class InterruptedReader:
    """Reader that lacks the first manifest, and is cancelled when it reads another one."""

    def __init__(self, missing: Descriptor) -> None:
        self._missing = missing

    def read(self, descriptor: Descriptor, *, is_referrer: bool = False) -> NoReturn:
        assert not is_referrer
        if descriptor == self._missing:
            raise NotFoundError("missing")
        raise CancelledError

    def check(self, item: ReadManifest) -> None:
        raise AssertionError(item)


def test_cancellation_ends_the_search_for_existing_manifests():
    root = images.multi_platform("app", "linux/amd64", "linux/arm64").root
    index = manifest.parse(root.data, root.media_type)
    assert isinstance(index, manifest.Index)
    first = index.manifests[0]
    with pytest.raises(CancelledError):
        read_child(InterruptedReader(first), index, first, "app")
