"""A cluster in this process, and its user."""

from __future__ import annotations

import pytest

from tests.fakes.openshift import FakeOpenShift
from tests.fakes.registry import FakeRegistry
from tests.transports.openshift.clusters import TOKEN, ClusterUser, create_server_context


@pytest.fixture
def registry():
    with FakeRegistry(auth="basic", username="openshift", password=TOKEN) as running:
        yield running


@pytest.fixture
def cluster(registry):
    authorization = f"Bearer {TOKEN}"
    tls = create_server_context()
    with FakeOpenShift(registry, authorization=authorization, tls=tls) as running:
        yield running


@pytest.fixture
def user(cluster, tmp_path):
    return ClusterUser(cluster, tmp_path)
