"""The contracts, with ``atomic:`` and a cluster in this process."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.signatures import OTHER_SIMPLE, SIMPLE, SignatureContract
from tests.contracts.source import SourceContract


class TestSource(SourceContract):
    excluded: ClassVar = {
        "test_resolve_without_name_needs_a_single_image": "the default is the tag of the reference"
    }

    @pytest.fixture
    def filled(self, registry, user):
        def fill(store):
            repository = registry.repository("tests/app")
            for digest, data in store.blobs.items():
                target = contents.node(store, digest)
                if target.kind == "manifest":
                    repository.manifests[digest.text] = (target.media_type, data)
                else:
                    repository.blobs[digest.text] = data
            repository.tags |= {name: root.digest.text for name, root in store.names.items()}
            return user.source()

        return fill


class TestDestination(DestinationContract):
    excluded: ClassVar = {
        "test_has_compares_sizes": "a registry is queried by digest only",
    }

    @pytest.fixture
    def opened(self, user):
        return user.destination

    @pytest.fixture
    def source(self, user):
        return user.source


class TestSignatures(SignatureContract):
    signatures: ClassVar = [SIMPLE, OTHER_SIMPLE]
    adds = True

    @pytest.fixture
    def opened(self, user):
        return user.destination

    @pytest.fixture
    def source(self, user):
        return user.source
