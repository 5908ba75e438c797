"""The specification docs/format.md agrees with the code and the schema."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from bundler.bundle.format.files import bundle_files, bundle_paths, checksums
from bundler.bundle.format.inventory import inventory
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.signatures.bundle_signatures import MAX_SIGNATURE, MAX_SIGNATURES
from bundler.bundle.verifying import findings, image_checks, verify
from bundler.oci import manifest
from bundler.trust.private_keys import derivation_cost

PAGE = (Path(__file__).parents[3] / "docs" / "format.md").read_text()
SCHEMAS = resources.files("bundler") / "schemas"
SCHEMA = json.loads((SCHEMAS / "inventory.schema.json").read_text())
PREDICATE = json.loads((SCHEMAS / "export-predicate.schema.json").read_text())["properties"]


@pytest.mark.parametrize(
    "members",
    [
        SCHEMA["properties"],
        *(SCHEMA["$defs"][name]["properties"] for name in ("image", "referrer", "absentLayer")),
        PREDICATE,
        *(PREDICATE[name]["properties"] for name in ("bundle", "tool", "source", "entry")),
    ],
)
def test_format_page_describes_every_member(members):
    for name in members:
        assert f"`{name}`" in PAGE


def test_format_page_describes_every_finding():
    sources = [Path(module.__file__).read_text() for module in (verify, findings, image_checks)]
    codes = set(re.findall(r'\.add\(\s*"([a-z]+)"', "".join(sources)))
    assert len(codes) > 5
    for code in codes:
        assert f"| `{code}` |" in PAGE


@pytest.mark.parametrize(
    "text",
    [
        inventory.TYPE,
        f"{MAX_INVENTORY >> 20} MiB",
        f"most {checksums.MAX_CHECKSUM_FILE >> 20} MiB",
        f"{MAX_SIGNATURES} signatures of at most {MAX_SIGNATURE >> 10} KiB",
        f"{bundle_files.MAX_ENTRIES:,}",
        f"{bundle_paths.MAX_PATH} characters",
        f"{manifest.MAX_MANIFEST >> 20} MiB",
        f"{manifest.MAX_CHILDREN:,}",
        "r ≤ {1}, p ≤ {2}".format(*derivation_cost.MAX_SCRYPT),
    ],
)
def test_format_page_states_the_enforced_limits(text: str):
    assert text in PAGE
