"""SBOMs in both formats."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bundler.bundle.audit.packages.sbom.cyclonedx import create_cyclonedx
from bundler.bundle.audit.packages.sbom.spdx import create_spdx

NOW = datetime(2026, 12, 1, 12, 0, 5, 123, tzinfo=UTC)
FILES = {
    "lib/apk/db/installed": "P:one\nV:1.0-r0\nA:x86_64\nL:MIT\no:source\n\nP:two\nV:2\nL:GPL-2.0\n",
    "node_modules/@s/p/package.json": '{"name": "@s/p", "license": "MIT"}',
    "etc/os-release": 'ID=alpine\nVERSION_ID=3.20\nPRETTY_NAME="Alpine \x1b[31m"\n',
}


@pytest.fixture
def image(read_files):
    found = read_files(FILES)
    hostile = replace(found.packages[0], name="\udcff\x1b", licenses=("a\n" * 50,), path="\u202e")
    return replace(found, packages=(*found.packages, hostile))


def test_cyclonedx_is_valid_and_states_each_package(image):
    document = create_cyclonedx(image, NOW)
    text = json.dumps(document, ensure_ascii=False)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    one, two, scoped, _, system = document["components"]
    assert one["purl"] == "pkg:apk/alpine/one@1.0-r0?arch=x86_64"
    assert one["licenses"] == [{"license": {"id": "MIT"}}]
    assert two["licenses"] == [{"license": {"name": "GPL-2.0"}}]
    assert (scoped["group"], scoped["name"], "version" in scoped) == ("@s", "p", False)
    assert (system["type"], system["name"], system["version"]) == (
        "operating-system",
        "alpine",
        "3.20",
    )
    assert document["compositions"][0]["aggregate"] == "unknown"
    assert document["metadata"]["timestamp"] == "2026-12-01T12:00:05Z"
    assert text.isprintable()


def test_spdx_states_each_package_with_its_licenses(image):
    document = create_spdx(image, NOW)
    described, one, two, scoped, _ = document["packages"]
    assert described["versionInfo"] == image.image.digest.text
    assert (one["versionInfo"], one["licenseDeclared"]) == ("1.0-r0", "MIT")
    assert two["licenseDeclared"] == "LicenseRef-1"
    assert (scoped["name"], "versionInfo" in scoped) == ("@s/p", False)
    extracted = {item["licenseId"]: item for item in document["hasExtractedLicensingInfos"]}
    assert extracted["LicenseRef-1"]["extractedText"] == "GPL-2.0"
    identifiers = [package["SPDXID"] for package in document["packages"]]
    assert len(set(identifiers)) == len(identifiers)
    relations = {item["relatedSpdxElement"] for item in document["relationships"]}
    assert relations == set(identifiers)
    assert json.dumps(document, ensure_ascii=False).isprintable()


def test_document_of_an_incomplete_list_says_so(read_files):
    found = read_files({"lib/apk/db/installed": "garbage"})
    assert create_cyclonedx(found, NOW)["compositions"][0]["aggregate"] == "incomplete"
    assert "may be missing" in create_spdx(found, NOW)["packages"][0]["comment"]


def test_identity_depends_on_image_and_time(image):
    serials = {
        create_cyclonedx(image, NOW)["serialNumber"],
        create_cyclonedx(image, NOW.replace(microsecond=0))["serialNumber"],
        create_cyclonedx(image, NOW.replace(second=6))["serialNumber"],
        create_cyclonedx(replace(image, name="other"), NOW)["serialNumber"],
    }
    assert len(serials) == 3
