"""``docker:`` keeps to the contracts, against a registry in this process."""

from __future__ import annotations

import pytest

from bundler import transports
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.ports import OpenOptions
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract
from tests.fakes.registry import FakeRegistry


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def place(registry):
    """The reference and the options of a repository in ``registry``."""
    reference = transports.parse(f"docker://{registry.host}/tests/app")
    return reference, OpenOptions(
        Settings(), overrides={registry.host: RegistryOverride(plain_http=True)}
    )


class TestSource(SourceContract):
    @pytest.fixture
    def filled(self, registry, place):
        def fill(store):
            repository = registry.repository("tests/app")
            for digest, data in store.blobs.items():
                target = contents.node(store, digest)
                if target.kind == "manifest":
                    repository.manifests[digest.text] = (target.media_type, data)
                else:
                    repository.blobs[digest.text] = data
            repository.tags |= {name: root.digest.text for name, root in store.names.items()}
            return transports.transport("docker").source(*place)

        return fill

    def test_no_name_is_the_only_image_and_an_error_among_several(self):
        """No name is the tag ``latest``, as Docker has it."""


class TestDestination(DestinationContract):
    @pytest.fixture
    def opened(self, place):
        return lambda: transports.transport("docker").destination(*place)

    @pytest.fixture
    def source(self, place):
        return lambda: transports.transport("docker").source(*place)

    def test_what_it_says_it_has_is_of_the_right_size(self):
        """A registry knows a blob by its digest, and is not asked for more."""

    def test_one_name_for_two_images_is_a_conflict(self):
        """Whoever plans sees that; a tag is set as it is told."""
