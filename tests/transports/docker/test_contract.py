"""The contracts, with ``docker:`` and a registry in this process."""

from __future__ import annotations

from typing import ClassVar

import pytest

from bundler import transports
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.ports import OpenOptions
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract


@pytest.fixture
def location(registry):
    """The reference and the options of a repository in ``registry``."""
    reference = transports.parse(f"docker://{registry.host}/tests/app")
    return reference, OpenOptions(
        Settings, overrides={registry.host: RegistryOverride(plain_http=True)}
    )


class TestSource(SourceContract):
    excluded: ClassVar = {
        "test_resolve_without_name_needs_a_single_image": "the default is the tag latest"
    }

    @pytest.fixture
    def filled(self, registry, location):
        def fill(store):
            repository = registry.repository("tests/app")
            for digest, data in store.blobs.items():
                target = contents.node(store, digest)
                if target.kind == "manifest":
                    repository.manifests[digest.text] = (target.media_type, data)
                else:
                    repository.blobs[digest.text] = data
            repository.tags |= {name: root.digest.text for name, root in store.names.items()}
            return transports.open_source(*location)

        return fill


class TestDestination(DestinationContract):
    excluded: ClassVar = {
        "test_has_compares_sizes": "a registry is queried by digest only",
    }

    @pytest.fixture
    def opened(self, location):
        return lambda: transports.open_destination(*location)

    @pytest.fixture
    def source(self, location):
        return lambda: transports.open_source(*location)
