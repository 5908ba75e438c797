"""Fixtures for tests of the storage: one storage per driver."""

from __future__ import annotations

import pytest

from tests.transports.containers_storage.sample_storage import DRIVERS, SampleStorage


@pytest.fixture(params=DRIVERS)
def storage(request, tmp_path):
    return SampleStorage(tmp_path, request.param)
