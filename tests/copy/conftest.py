"""Fixtures of the tests of the engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler import retry_policy
from bundler.retry_policy import Backoff, LimitedTime


@pytest.fixture
def executor():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    backoff = Backoff(0.001, 0.05)
    policy = LimitedTime(backoff, backoff, patience=0.001, min_retries=5)
    monkeypatch.setattr(retry_policy, "TRANSFER_POLICY", policy)
