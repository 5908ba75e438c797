"""Strict base64."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.errors import ConfigError, MalformedError
from bundler.oci.json import base64_strict


@given(st.binary(max_size=64))
def test_decode_reverses_encode(data):
    assert base64_strict.decode(base64_strict.encode(data), "it") == data
    assert base64_strict.decode_url(base64_strict.encode_url(data), "it") == data


def test_decode_url_accepts_padding():
    assert base64_strict.encode_url(b"\xff\xfe") == "__4"
    assert base64_strict.decode_url("__4=", "it") == b"\xff\xfe"


@pytest.mark.parametrize("text", ["a", "ab", "abc", "ab c=", "ab\n==", "__4=", "ab==cd==", "é==="])
def test_decode_refuses_invalid_base64(text):
    with pytest.raises(MalformedError):
        base64_strict.decode(text, "it")


@pytest.mark.parametrize("text", ["a", "//4=", "ab c", "ab===", "__4\n", "é"])
def test_decode_url_refuses_invalid_base64url(text):
    with pytest.raises(ConfigError):
        base64_strict.decode_url(text, "it", error=ConfigError)
