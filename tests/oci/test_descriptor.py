"""Descriptors: strict types, and no unsafe characters."""

from __future__ import annotations

import pytest
from hypothesis import given

from bundler.errors import MalformedError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table
from tests import strategies
from tests.fakes.memory import EMPTY_CONFIG, EMPTY_DESCRIPTOR

GOOD = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
    "digest": Digest.of(b"data").text,
    "size": 4,
}


def read(**changes):
    return Descriptor.from_json(Table(GOOD | changes, "layers[3]"))


@given(strategies.descriptors)
def test_json_round_trips(descriptor):
    assert Descriptor.from_json(Table(descriptor.to_json(), "it")) == descriptor


@pytest.mark.parametrize("size", [-1, True, "4", 4.0, None, [4]])
def test_size_is_an_integer(size):
    with pytest.raises(MalformedError, match=r"layers\[3\]: size"):
        read(size=size)


def test_huge_size_is_accepted():
    assert read(size=2**63 - 1).size == 2**63 - 1


@pytest.mark.parametrize("member", ["mediaType", "digest", "size"])
def test_required_members_must_be_present(member):
    without = {key: value for key, value in GOOD.items() if key != member}
    with pytest.raises(MalformedError):
        Descriptor.from_json(Table(without, "layers[3]"))


@pytest.mark.parametrize("digest", ["", "sha256:x", "../../etc/passwd", 5])
def test_error_names_member_with_invalid_digest(digest):
    with pytest.raises(MalformedError):
        read(digest=digest)


@pytest.mark.parametrize(
    "media_type",
    ["a/b\r\nX-Injected: 1", "a/b\n", "\x1b[2J/x", "a/\u00e4", " a/b", "a/b ", "a" * 300],
)
def test_media_type_must_be_printable_ascii(media_type):
    with pytest.raises(MalformedError):
        read(mediaType=media_type)


@pytest.mark.parametrize("media_type", ["text/plain;charset=utf-8", "text/plain; charset=utf-8"])
def test_parameters_of_a_media_type_are_kept(media_type):
    assert read(mediaType=media_type).media_type == media_type


@pytest.mark.parametrize("member", ["MediaType", "DIGEST", "Size", "URLs", "Platform"])
def test_member_in_another_letter_case_and_with_another_value_is_refused(member):
    with pytest.raises(MalformedError, match="must be spelled"):
        read(**{member: "another"})


def test_member_in_another_letter_case_with_the_same_value_is_accepted():
    assert read(DIGEST=GOOD["digest"], Platform=None, URLs=[]) == read()


@pytest.mark.parametrize("annotations", [None, [], {}, {"b": None}, {"b": 1}, {"b": ["c"]}])
def test_annotations_that_are_not_strings_are_left_out(annotations):
    """They are carried in the bytes of their document, and nothing reads them."""
    assert read(annotations=annotations).annotations == {}
    if isinstance(annotations, dict):
        assert read(annotations=annotations | {"a": "1"}).annotations == {"a": "1"}


@pytest.mark.parametrize(
    "changes",
    [{"urls": "https://x"}, {"urls": [1]},
     {"platform": "linux/amd64"}, {"artifactType": 1}],
)  # fmt: skip
def test_types_of_optional_members_are_checked(changes):
    with pytest.raises(MalformedError):
        read(**changes)


def test_embedded_data_is_ignored():
    """The ``data`` member is ignored; content is identified by its digest."""
    assert read(data="bGllcw==") == read()


def test_empty_descriptor_matches_empty_config():
    assert (EMPTY_CONFIG, EMPTY_DESCRIPTOR.size) == (b"{}", 2)
    assert EMPTY_DESCRIPTOR.digest == Digest.of(EMPTY_CONFIG)
