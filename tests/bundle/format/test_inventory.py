from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import resources

import jsonschema
import pytest
from hypothesis import given, strategies as st

from bundler.bundle.format import inventory
from bundler.bundle.format.inventory import (
    BundledImage,
    BundledReferrer,
    ChecksumFile,
    Inventory,
    Producer,
)
from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference
from tests import peak_memory
from tests.peak_memory import MIB

CREATED = datetime(2026, 11, 23, 7, tzinfo=UTC)
A, B, C = (Digest.of(text) for text in (b"a", b"b", b"c"))
FULL = Inventory(
    format="oci",
    stream="plant-7",
    serial=1795417200,
    created=CREATED,
    expires=CREATED + timedelta(days=90),
    complete=True,
    tool=Producer("airbundle", "1.0"),
    checksum_file=ChecksumFile(A, 1234, 17),
    images=(
        BundledImage(
            reference=ImageReference.parse("docker.io/library/nginx:1.27"),
            digest=A,
            media_type=media_types.OCI_INDEX,
            size=777,
            platforms=("linux/amd64", "linux/arm64/v8"),
            index="strip",
            replaces=B,
            rename="mirror/nginx:1.27",
            origin="plant-7.yaml:12",
            source="mirror.corp/nginx:1.27",
            referrers=(
                BundledReferrer(C, media_types.OCI_MANIFEST, 99, A, "text/spdx", "sha256-x.sig"),
            ),
        ),
        BundledImage(
            ImageReference("ghcr.io", "org/app", "v2"), B, media_types.DOCKER_MANIFEST, 500
        ),
    ),
)
PLAIN = replace(FULL, expires=None, images=())


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
    image, _ = inventory.parse(image_changed(rename=name)).images
    assert image.rename == name


@pytest.mark.parametrize("whole", [FULL, PLAIN], ids=["full", "plain"])
def test_written_bytes_parse_to_an_equal_value(whole):
    assert inventory.parse(whole.to_bytes()) == whole


@pytest.mark.parametrize("whole", [FULL, PLAIN], ids=["full", "plain"])
def test_written_inventory_matches_the_schema(whole):
    schema = json.loads((resources.files("bundler") / "schemas/inventory.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(whole.to_bytes()))


def test_equal_inventories_have_equal_bytes_in_canonical_form():
    raw = FULL.to_bytes()
    assert (
        raw == json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode() + b"\n"
    )
    assert raw.isascii()


def test_unknown_members_are_ignored():
    assert inventory.parse(changed(comment="hello", parity={"k": 3})) == FULL


def test_claim_about_verified_signatures_is_ignored():
    claim = {"policy": "signedBy", "key": "ab12"}
    assert inventory.parse(image_changed(verified=[claim])) == FULL


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
        inventory.parse(changed(**{member: value}))


@pytest.mark.parametrize("member", ["Base", "PRESUPPOSES", "volumeS"])
def test_reserved_member_in_other_letter_case_is_refused(member):
    with pytest.raises(MalformedError, match=member):
        inventory.parse(changed(**{member: []}))


@pytest.mark.parametrize("version", ["airbundle/bundle/v3", "airbundle/bundle/v1.1"])
def test_newer_format_is_unsupported(version):
    with pytest.raises(UnsupportedError):
        inventory.parse(changed(_type=version))


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
        inventory.parse(raw)


def test_inventory_that_is_too_large_is_not_parsed():
    with pytest.raises(LimitError):
        inventory.parse(b"{" + b" " * inventory.MAX_INVENTORY)


PARSE = """
import sys
from contextlib import suppress
from pathlib import Path

from bundler.bundle.format import inventory
from bundler.errors import LimitError, MalformedError

with suppress(LimitError, MalformedError):
    inventory.parse(Path(sys.argv[1]).read_bytes())
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
    room = inventory.MAX_INVENTORY - 100
    body = f'"{unit * (room - 100)}",' if unit == "a" else unit * (room // len(unit))
    path = tmp_path / "bundle.json"
    path.write_bytes(f'{start}{body}"{last}"]}}'.encode())
    assert peak_memory.measure(PARSE, path) < 128 * MIB


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_hostile_input_raises_only_documented_errors(raw):
    with pytest.raises((MalformedError, LimitError)):
        inventory.parse(raw)


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
        inventory.parse(json.dumps(document).encode())


def test_serial_is_the_time_or_the_former_serial_plus_one():
    seconds = int(CREATED.timestamp())
    assert inventory.create_serial(None, CREATED) == seconds
    assert inventory.create_serial(seconds - 5, CREATED) == seconds
    assert inventory.create_serial(seconds, CREATED) == seconds + 1
    assert inventory.create_serial(seconds + 1000, CREATED) == seconds + 1001


def test_bundle_expires_at_its_expiry_date():
    assert not FULL.is_expired(FULL.expires - timedelta(seconds=1))
    assert FULL.is_expired(FULL.expires)
    assert not PLAIN.is_expired(CREATED + timedelta(days=36500))


@pytest.mark.parametrize(
    ("text", "good"),
    [("plant-7", True), ("A.b_c", True), ("", False), ("a/b", False), (".a", False), ("a.", False)],
)
def test_stream_name_can_be_part_of_a_file_name(text, good):
    assert inventory.is_stream_name(text) is good
