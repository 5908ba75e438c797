"""References of ostree: are refused."""

from __future__ import annotations

import pytest

from bundler import transports
from bundler.errors import UnavailableTransportError


def test_ostree_is_not_available():
    with pytest.raises(UnavailableTransportError) as raised:
        transports.parse("ostree:app@/ostree/repo")
    assert raised.value.transport == "ostree"
