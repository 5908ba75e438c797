"""A registry in this process."""

from __future__ import annotations

import pytest

from tests.fakes.registry import FakeRegistry


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running
