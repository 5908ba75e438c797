from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources

import jsonschema
import pytest

from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.plan.sealed_plan import PlannedContent, PlannedVolume, SealedPlan
from bundler.errors import BundlerError, MalformedError, UnsupportedError
from bundler.oci.digest import Digest
from tests.fakes.inventories import CREATED, FULL

CONTENT = (
    PlannedContent(Digest.of(b"manifest"), 8),
    PlannedContent(Digest.of(b"layer", "sha512"), 5, 2),
)
RAW, LISTED = sealed_plan.render_contents(CONTENT)
PLAN = SealedPlan(
    "plant-7",
    7,
    CREATED,
    FULL.images,
    LISTED,
    expires=FULL.expires,
    volumes=(PlannedVolume(1, 3, 10, Digest.of(b"1")), PlannedVolume(2, 4, 20, Digest.of(b"2"))),
)


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, volumes=(), expires=None, images=())])
def test_plan_is_read_as_written_and_matches_the_schema(plan):
    raw = plan.to_bytes()
    assert sealed_plan.parse_sealed_plan(raw) == plan
    schema = resources.files("bundler") / "schemas/sealed-plan.schema.json"
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(json.loads(raw))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"_type": "airbundle/plan/v2"}, UnsupportedError),
        ({"_type": "airbundle/bundle/v1"}, MalformedError),
        ({"stream": "../up"}, MalformedError),
        ({"Serial": 8}, MalformedError),
        (
            {"contents": {"path": "bundle.json", "digest": "x", "size": 1, "count": 1}},
            MalformedError,
        ),
        (
            {"volumes": [{"number": 2, "count": 1, "size": 1, "digest": LISTED.digest.text}]},
            MalformedError,
        ),
    ],
)
def test_other_documents_and_malformed_plans_are_refused(change, error):
    raw = json.dumps(json.loads(PLAN.to_bytes()) | change).encode()
    with pytest.raises(error):
        sealed_plan.parse_sealed_plan(raw)


def test_contents_are_read_as_written():
    assert sealed_plan.parse_contents(RAW, LISTED) == CONTENT


@pytest.mark.parametrize(
    "raw",
    [RAW + RAW, RAW[:-1], RAW.replace(b" 8 ", b" -8 "), RAW.replace(b" 2\n", b" 2 \n"), b"\n"],
)
def test_malformed_contents_are_refused(raw):
    listed = replace(LISTED, digest=Digest.of(raw))
    with pytest.raises(MalformedError):
        sealed_plan.parse_contents(raw, listed)
    with pytest.raises(BundlerError):
        sealed_plan.parse_contents(raw, LISTED)
