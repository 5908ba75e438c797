"""Digests: strict parsing, because a digest becomes part of paths and URLs."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from hypothesis import given, strategies as st

from bundler.errors import MalformedError
from bundler.oci.digest import Digest, new_hasher

HEX = "0123456789abcdef" * 4


@given(st.binary(), st.sampled_from(["sha256", "sha512"]))
def test_of_agrees_with_hashlib(data, algorithm):
    digest = Digest.of(data, algorithm)
    assert (digest.algorithm, digest.hex) == (algorithm, hashlib.new(algorithm, data).hexdigest())
    assert Digest(str(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha512:{HEX}",
        f"sha256:{HEX}{HEX}",
        f"sha384:{HEX}{HEX[:32]}",
        f"md5:{HEX[:32]}",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"sha256:../../{HEX[6:]}",
        f"sha256:{HEX[:-1]}\u0661",  # a non-ASCII digit
        f"sha256-{HEX}",
    ],
)
def test_digest_refuses_other_text(text):
    with pytest.raises(MalformedError):
        Digest(text)


def test_message_about_long_text_is_short():
    with pytest.raises(MalformedError) as caught:
        Digest("x" * 1_000_000)
    assert len(caught.value.message) < 300


def test_hasher_has_requested_algorithm():
    digest = Digest.of(b"data", "sha512")
    hasher = new_hasher(digest.algorithm)
    hasher.update(b"data")
    assert hasher.hexdigest() == digest.hex
    assert new_hasher("sha256").name == "sha256"


def test_digest_is_compared_by_its_text_and_survives_pickling():
    digest = Digest(f"sha256:{HEX}")
    restored = pickle.loads(pickle.dumps(digest))
    assert restored == digest
    assert hash(restored) == hash(digest)
    assert (restored.algorithm, restored.hex) == ("sha256", HEX)
    assert repr(digest) == f"Digest(text='sha256:{HEX}')"
    assert digest < Digest(f"sha512:{HEX}{HEX}")
