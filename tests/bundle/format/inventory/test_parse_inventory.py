from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, strategies as st

from bundler.bundle.format.inventory.inventory import ChecksumFile
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY, parse_inventory
from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.oci import media_types
from tests import peak_memory
from tests.fakes.inventories import FULL, PLAIN, A, B, C
from tests.peak_memory import MIB


def changed(**members):
    value = json.loads(FULL.to_bytes()) | members
    return json.dumps({name: item for name, item in value.items() if item != "absent"}).encode()


def image_changed(**members):
    value = json.loads(FULL.to_bytes())
    value["images"][0] |= members
    return json.dumps(value).encode()


def referrer_changed(**members):
    value = json.loads(FULL.to_bytes())
    value["images"][0]["referrers"][0] |= members
    return json.dumps(value).encode()


@pytest.mark.parametrize("name", [f"mirror/nginx@{A}", f"mirror/nginx@{B}", "mirror/nginx"])
def test_names_may_have_digest_of_image_or_of_index_it_replaces(name):
    image, _ = parse_inventory(image_changed(rename=name)).images
    assert image.rename == name


@pytest.mark.parametrize("whole", [FULL, PLAIN], ids=["full", "plain"])
def test_written_bytes_parse_to_an_equal_value(whole):
    assert parse_inventory(whole.to_bytes()) == whole


def test_unknown_members_are_ignored():
    assert parse_inventory(changed(comment="hello", parity={"k": 3})) == FULL


def test_claim_about_verified_signatures_is_ignored():
    claim = {"policy": "signedBy", "key": "ab12"}
    assert parse_inventory(image_changed(verified=[claim])) == FULL


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("base", {"stream": "plant-7", "serial": 1795417000, "digest": C.text}),
        ("presupposes", [{"digest": A.text, "size": 12}]),
        ("presupposes", []),
        ("volumes", [{"number": 1, "of": 2, "sums": B.text, "size": 10}]),
        ("volumes", "not even an array"),
    ],
)
def test_delta_or_volume_is_refused(member, value):
    """A reader of whole bundles reports neither a delta nor a volume as whole or damaged."""
    with pytest.raises(UnsupportedError, match=member):
        parse_inventory(changed(**{member: value}))


def test_presupposed_blobs_are_read_in_version_3_only():
    described = {"path": "presupposed.txt", "digest": A.text, "size": 90, "count": 1}
    raw = changed(_type="airbundle/bundle/v3", presupposes=described)
    read = parse_inventory(raw)
    assert read.presupposed_file == ChecksumFile(A, 90, 1)
    assert parse_inventory(read.to_bytes()) == read
    for version in (1, 2):
        with pytest.raises(UnsupportedError, match="presupposes"):
            parse_inventory(changed(_type=f"airbundle/bundle/v{version}", presupposes=described))
    with pytest.raises(MalformedError, match="path"):
        parse_inventory(
            changed(_type="airbundle/bundle/v3", presupposes=described | {"path": "../x"})
        )


@pytest.mark.parametrize("member", ["Base", "PRESUPPOSES", "volumeS"])
def test_reserved_member_in_other_letter_case_is_refused(member):
    with pytest.raises(MalformedError, match=member):
        parse_inventory(changed(**{member: []}))


@pytest.mark.parametrize("version", ["airbundle/bundle/v4", "airbundle/bundle/v1.1"])
def test_newer_format_is_unsupported(version):
    with pytest.raises(UnsupportedError):
        parse_inventory(changed(_type=version))


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"", "JSON"),
        (FULL.to_bytes()[:-40], "JSON"),
        (b"[]", "object"),
        (changed(_type="absent"), "_type"),
        (changed(_type="something/else"), "_type"),
        (changed(format="zip"), "format"),
        (changed(stream="../x"), "stream"),
        (changed(stream="absent"), "stream"),
        (changed(serial=-1), "serial"),
        (changed(serial=True), "serial"),
        (changed(serial="7"), "serial"),
        (changed(complete="yes"), "complete"),
        (changed(complete="absent"), "complete"),
        (changed(created="yesterday"), "time"),
        (changed(created="2026-02-30T00:00:00Z"), "time"),
        (changed(expires=7), "expires"),
        (changed(Serial=3), "serial"),
        (changed(sums={"path": "../x", "digest": A.text, "size": 1, "count": 1}), "SHA256SUMS"),
        (changed(sums="absent"), "sums"),
        (changed(images={}), "images"),
        (image_changed(digest="sha256:zz"), "digest"),
        (image_changed(mediaType="text/html"), "mediaType|media type"),
        (image_changed(index="some"), "index"),
        (image_changed(reference="evil\x1b[2J"), "printable"),
        (image_changed(reference="a\nb"), "printable"),
        (image_changed(reference="quay.io/Org/app:1"), "lower case"),
        (image_changed(reference="nginx:1.27"), "expected 'docker.io/library/nginx:1.27'"),
        (image_changed(rename="x" * 5000), "printable"),
        (image_changed(rename=f"mirror/nginx@{C}"), "rename has another digest"),
        (image_changed(rename=f"mirror/nginx:1.27@{C}"), "rename has another digest"),
        (image_changed(rename="../../etc/nginx:1"), "rename"),
        (image_changed(reference=f"docker.io/library/nginx@{C}"), "reference has another digest"),
        (referrer_changed(tag="../../esc"), "not a valid tag"),
        (image_changed(Digest=A.text), "digest"),
        (image_changed(reference="ghcr.io/org/app:v2"), "twice"),
        (FULL.to_bytes().replace(b'"serial"', b'"serial":1,"serial"', 1), "duplicate"),
    ],
)
def test_invalid_member_is_refused_by_name(raw, named):
    with pytest.raises(MalformedError, match=named):
        parse_inventory(raw)


def test_inventory_that_is_too_large_is_not_parsed():
    with pytest.raises(LimitError):
        parse_inventory(b"{" + b" " * MAX_INVENTORY)


def test_long_lists_of_what_was_left_behind_are_refused(monkeypatch):
    """The limit applies to all images together, because a report lists each entry."""
    raw = image_changed(leftBehind=["a", "b", "c"])
    monkeypatch.setattr("bundler.bundle.format.inventory.parse_inventory.MAX_ITEMS", 2)
    with pytest.raises(LimitError, match="leftBehind"):
        parse_inventory(raw)


PARSE = """
import sys
from contextlib import suppress
from pathlib import Path

from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.errors import LimitError, MalformedError

with suppress(LimitError, MalformedError):
    parse_inventory(Path(sys.argv[1]).read_bytes())
"""


@pytest.mark.parametrize(
    "unit",
    [
        "[],",
        '"\\ud83d\\ude00",',
        "a",
        f'{{"reference":"a.b/c:1","mediaType":"{media_types.OCI_INDEX}","size":1}},',
    ],
    ids=["lists", "escapes", "text", "images"],
)
@pytest.mark.parametrize("last", ["x", "\U0001f600"], ids=["ascii", "unicode"])
def test_hostile_inventory_takes_little_memory(tmp_path, unit, last):
    """One character beyond ASCII would quadruple the size of the text."""
    start = '{"_type":"airbundle/bundle/v1","images":['
    room = MAX_INVENTORY - 100
    body = f'"{unit * (room - 100)}",' if unit == "a" else unit * (room // len(unit))
    path = tmp_path / "bundle.json"
    path.write_bytes(f'{start}{body}"{last}"]}}'.encode())
    assert peak_memory.measure(PARSE, path) < 128 * MIB


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_hostile_input_raises_only_documented_errors(raw):
    with pytest.raises((MalformedError, LimitError)):
        parse_inventory(raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
    st.sampled_from([*json.loads(FULL.to_bytes()), "images.0"]),
)
def test_member_with_any_value_is_read_or_refused(value, member):
    document = json.loads(FULL.to_bytes())
    if member == "images.0":
        document["images"][0] = value
    else:
        document[member] = value
    with contextlib.suppress(MalformedError, LimitError, UnsupportedError):
        parse_inventory(json.dumps(document).encode())
