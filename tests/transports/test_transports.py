"""Transports are found by the name before the colon."""

from __future__ import annotations

import pytest

from bundler import transports
from bundler.errors import InvalidReferenceError


@pytest.mark.parametrize("name", transports.names())
def test_every_transport_can_be_loaded(name):
    transport = transports.find_transport(name)
    assert callable(transport.parse)
    assert callable(transport.source)
    assert callable(transport.destination)


@pytest.mark.parametrize("text", ["app", "ftp:app", "", ":app"])
def test_unknown_transport_is_refused(text):
    with pytest.raises(InvalidReferenceError):
        transports.parse(text)
