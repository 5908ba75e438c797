from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from importlib import resources

import jsonschema
import pytest

from bundler.bundle.format.inventory import inventory
from tests.fakes.inventories import CREATED, FULL, PLAIN

DELTA = replace(FULL, presupposed_file=inventory.ChecksumFile(FULL.images[0].digest, 90, 1))


@pytest.mark.parametrize("whole", [FULL, PLAIN, DELTA], ids=["full", "plain", "delta"])
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
