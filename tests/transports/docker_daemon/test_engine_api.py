"""Responses of an engine: failures, interruptions, cancellation."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from bundler.cancel import Cancellation
from bundler.config.registry_access import DEFAULT_RESPONSE_TIMEOUT
from bundler.errors import (
    CancelledError,
    LimitError,
    RefusedRequestError,
    RegistryError,
    StalledError,
)
from bundler.registry.exchange.watchdog import ExchangeLimits
from bundler.transports.docker_daemon import engine_api
from tests.fakes.memory import MemoryStore
from tests.registry.test_slow_servers import serving
from tests.transports.docker_daemon.opening import create_options, open_source, publish

LIMITS = ExchangeLimits(response=0.5, stall=0.5, handshake=0.5, min_bytes_per_second=1000)


def test_message_of_the_engine_is_printed_on_one_line(engine, options, store):
    engine.status, engine.message = 500, "disk \x1b[31mon\nfire"
    with closing(open_source("app", options)) as opened, pytest.raises(RegistryError) as raised:
        opened.resolve()
    assert raised.value.status == 500
    assert raised.value.message.endswith("(disk  [31mon fire)")


def test_refused_request_is_permanent(engine, options, store):
    engine.status, engine.message = 400, "client version is too old"
    with closing(open_source("app", options)) as opened, pytest.raises(RefusedRequestError):
        opened.resolve()


@pytest.mark.parametrize("cut", [0, 1000, 20_000])
def test_interrupted_response_is_a_temporary_error(engine, options, store, cut):
    engine.cut = cut
    with closing(open_source("app", options)) as opened, pytest.raises(RegistryError) as raised:
        opened.resolve()
    assert raised.value.temporary
    assert list(options.scratch.iterdir()) == []


def test_waiting_for_an_engine_can_be_cancelled(engine, options, store):
    engine.silent = True
    cancellation = Cancellation()
    options = create_options(engine.host, cancellation=cancellation)
    timer = threading.Timer(0.2, cancellation.request)
    timer.start()
    with closing(open_source("app", options)) as opened, pytest.raises(CancelledError):
        opened.resolve()
    timer.join()


@pytest.mark.parametrize("fault", ["silent", "slow"])
def test_image_is_saved_within_the_limits(engine, options, store, monkeypatch, fault):
    monkeypatch.setattr(engine_api, "LIMITS", LIMITS)
    setattr(engine, fault, True)
    with closing(open_source("app", options)) as opened, pytest.raises(StalledError) as raised:
        opened.resolve()
    assert engine.host in raised.value.message
    assert raised.value.limit == 0.5
    assert list(options.scratch.iterdir()) == []


def test_time_limit_of_the_run_allows_the_engine_more_time(engine, store, monkeypatch):
    """An engine archives a large image before it responds."""
    monkeypatch.setattr(engine_api, "LIMITS", replace(LIMITS, response=0.1))
    engine.silent = True
    options = create_options(engine.host, time_limit=0.6)
    with closing(open_source("app", options)) as opened, pytest.raises(StalledError) as raised:
        opened.resolve()
    assert raised.value.limit == 0.6


def test_engine_gets_as_much_time_as_a_registry():
    assert engine_api.LIMITS.response == DEFAULT_RESPONSE_TIMEOUT


def test_large_head_is_refused():
    with serving([b"HTTP/1.1 200 OK\r\n", *[b"X: %s\r\n" % (b"x" * 60_000)] * 5]) as server:
        options = create_options(f"http://{server.host}")
        with closing(open_source("app", options)) as opened, pytest.raises(LimitError):
            opened.resolve()


@pytest.mark.parametrize("size", [b"-5", b"zz"])
def test_malformed_chunk_is_a_failed_connection(size):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with serving([head + size + b"\r\n{}\r\n0\r\n\r\n"], reads=False) as server:
        options = create_options(f"http://{server.host}")
        with pytest.raises(RegistryError) as raised:
            publish(options, store, "app:1")
    assert raised.value.temporary


def test_silence_after_an_archive_is_limited(engine, options, monkeypatch):
    monkeypatch.setattr(engine_api, "LIMITS", LIMITS)
    engine.silent = True
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with pytest.raises(StalledError):
        publish(options, store, "app:1")


def test_silence_in_the_handshake_is_limited(options, monkeypatch):
    monkeypatch.setattr(engine_api, "LIMITS", LIMITS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = create_options(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with closing(open_source("app", options)) as opened, pytest.raises(StalledError):
            opened.resolve()


def test_image_that_the_engine_rejects_is_reported(engine, options):
    engine.refuses = "no space\nleft"
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with pytest.raises(RefusedRequestError) as raised:
        publish(options, store, "app:1")
    assert raised.value.message.endswith(": no space left")


def test_image_that_is_absent_after_loading_is_reported(engine, options):
    engine.forgets = True
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with pytest.raises(RefusedRequestError):
        publish(options, store, "app:1")
