from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.oci.digest import Digest
from bundler.oci.manifest import compute_manifest_digest
from tests.fakes import images

PAYLOAD = b'{\n   "schemaVersion": 1,\n   "name": "app",\n   "fsLayers": []\n}'


def signature(length: object, tail: bytes) -> dict[str, str]:
    header = json.dumps({"formatLength": length, "formatTail": base64url(tail)})
    return {"protected": base64url(header.encode()), "signature": "bWFkZQ"}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(*signatures: object) -> bytes:
    """Return ``PAYLOAD`` with signatures inserted before its last line."""
    return PAYLOAD[:-2] + b',\n   "signatures": ' + json.dumps(signatures).encode() + b"\n}"


def test_digest_of_manifest_covers_all_bytes() -> None:
    image = images.image()
    assert compute_manifest_digest(image.root.data, subject="m").text == image.digest


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[]", b'{"a":1,"a":2}', b"{" * 10])
def test_digest_of_other_content_covers_all_bytes(raw: bytes) -> None:
    assert compute_manifest_digest(raw, subject="m") == Digest.of(raw)


def test_schema_1_digest_excludes_signatures() -> None:
    good = signature(len(PAYLOAD) - 2, b"\n}")
    assert compute_manifest_digest(signed(good), subject="m") == Digest.of(PAYLOAD)
    assert compute_manifest_digest(signed(good, good), subject="m") == Digest.of(PAYLOAD)


def test_documents_that_other_parsers_may_read_as_signed_are_refused() -> None:
    with pytest.raises(MalformedError):
        compute_manifest_digest(b'{"signatures":[],"signatures":[]}', subject="m")
    with pytest.raises(LimitError):
        compute_manifest_digest(b"[" * 100, subject="m")


def test_documents_with_another_media_type_are_hashed_whole() -> None:
    kind = b'{"mediaType":"application/vnd.oci.image.manifest.v1+json",'
    raw = kind + signed(signature(1, b""))[1:]
    assert compute_manifest_digest(raw, subject="m") == Digest.of(raw)


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        [{}],
        [{"protected": "!"}],
        [{"protected": "a"}],
        [{"protected": base64url(b"[]")}],
        [signature(-1, b"")],
        [signature(True, b"")],
        [signature(10**9, b"")],
        [signature("5", b"")],
        [signature(5, b"}"), signature(6, b"}")],
        [signature(5, b"}"), signature(5, b"\n}")],
        [signature(5, b"}")] * 101,
        ["text"],
    ],
)
def test_signatures_without_signed_length_are_refused(signatures: list[object]) -> None:
    with pytest.raises(MalformedError):
        compute_manifest_digest(signed(*signatures), subject="m")


@given(st.binary(max_size=200) | st.builds(signed, st.dictionaries(st.text(), st.text())))
def test_arbitrary_bytes_have_a_digest_or_raise_bundler_error(raw: bytes) -> None:
    with suppress(BundlerError):
        assert compute_manifest_digest(raw, subject="m").algorithm == "sha256"
