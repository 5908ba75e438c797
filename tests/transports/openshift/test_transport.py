"""References to OpenShift image streams are parsed, and refused as unsupported."""

from __future__ import annotations

import pytest

from bundler import transports
from bundler.errors import InvalidReferenceError, UnsupportedError
from bundler.ports import OpenOptions

OPTIONS = OpenOptions(load_settings=None)


def test_image_stream_is_parsed_and_refused():
    reference = transports.parse("atomic:example.com:8443/project/stream:1")
    assert transports.parse(str(reference)) == reference
    transport = transports.find_transport("atomic")
    for refuse in (transport.source, transport.destination):
        with pytest.raises(UnsupportedError) as raised:
            refuse(reference, OPTIONS)
        assert "docker://HOST/project/stream:1" in raised.value.hint


@pytest.mark.parametrize("rest", ["", "h/ns/stream", "h/a/b/c:1", "h/a/b@sha256:0"])
def test_invalid_image_stream_is_refused(rest):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"atomic:{rest}")
