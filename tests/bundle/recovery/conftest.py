"""A bundle with recovery data in each format."""

from __future__ import annotations

import pytest

from tests.fakes.protected_bundle import ProtectedBundle


@pytest.fixture(scope="module", params=["oci", "dir"])
def protected(request: pytest.FixtureRequest, tmp_path_factory) -> ProtectedBundle:
    return ProtectedBundle(tmp_path_factory.mktemp("protected"), request.param, 10, seed=7)


@pytest.fixture
def bundle(protected: ProtectedBundle) -> ProtectedBundle:
    """The bundle, undamaged."""
    protected.restore()
    return protected
