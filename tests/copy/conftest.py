"""Fixtures of the tests of the engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler.copy import blob_transfer
from bundler.retry_policy import Backoff, RetryPolicy


@pytest.fixture
def executor():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(blob_transfer, "RETRY_POLICY", RetryPolicy(6, Backoff(0.001, 0.05)))
