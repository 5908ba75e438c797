"""Responses of an engine: failures, interruptions, cancellation."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError, RegistryError
from tests.fakes.memory import MemoryStore
from tests.transports.docker_daemon.opening import create_options, open_source, publish


def test_message_of_the_engine_is_printed_on_one_line(engine, options, store):
    engine.status, engine.message = 500, "disk \x1b[31mon\nfire"
    with closing(open_source("app", options)) as opened, pytest.raises(RegistryError) as raised:
        opened.resolve()
    assert raised.value.status == 500
    assert raised.value.message.endswith("(disk  [31mon fire)")


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


def test_image_that_the_engine_rejects_is_reported(engine, options):
    engine.refuses = "no space\nleft"
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with pytest.raises(RegistryError) as raised:
        publish(options, store, "app:1")
    assert raised.value.message.endswith(": no space left")


def test_image_that_is_absent_after_loading_is_reported(engine, options):
    engine.forgets = True
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with pytest.raises(RegistryError):
        publish(options, store, "app:1")
