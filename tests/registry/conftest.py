"""Fixtures: a fake registry, and sessions with short retries."""

from __future__ import annotations

import pytest

from bundler.config.registry_access import ANONYMOUS, RegistryAccess, RegistryLimits, TlsConfig
from bundler.registry.availability import HostAvailability
from bundler.registry.exchange import http_client
from bundler.registry.repository import Repository
from bundler.registry.session import Session
from bundler.retry_policy import Backoff, LimitedTime
from tests.fakes.registry import FakeRegistry

QUICK_RETRIES = LimitedTime(Backoff(0.01, 0.02), Backoff(0.01, 0.02))
QUICK_LIMITS = RegistryLimits(patience=1, rate_limit_patience=3)


@pytest.fixture(autouse=True)
def hosts(monkeypatch):
    """Forget the outages of former tests, whose servers may have had the same port."""
    monkeypatch.setattr(http_client, "HOSTS", HostAvailability())


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running


@pytest.fixture
def connect():
    """Create sessions, which are closed at the end of the test."""
    opened = []

    def make(
        registry,
        credentials=ANONYMOUS,
        *,
        tls=None,
        host=None,
        retry_policy=QUICK_RETRIES,
        cancellation=None,
        emit=None,
        limits=QUICK_LIMITS,
        **access,
    ):
        more = {} if emit is None else {"emit": emit}
        tls = tls or TlsConfig(plain_http=registry.tls is None)
        limits = limits.with_defaults(QUICK_LIMITS)
        described = RegistryAccess(host or registry.host, credentials, tls, limits, **access)
        session = Session(described, retry_policy=retry_policy, cancellation=cancellation, **more)
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()


@pytest.fixture
def session(registry, connect):
    return connect(registry)


@pytest.fixture
def repository(session):
    return Repository(session, "library/app", writable=True)
