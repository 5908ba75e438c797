"""Statements about vulnerabilities in OpenVEX and CycloneDX."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bundler.bundle.audit.packages.claims.documents import DocumentError, parse_document

IDS = ("CVE-2026-1234",)
PURL = "pkg:apk/alpine/libssl3@3.1.0-r0?arch=x86_64"


def create_openvex(**members: Any) -> dict[str, Any]:
    statement = {
        "vulnerability": {"name": "CVE-2026-1234"},
        "products": [{"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:apk/alpine/libssl3"}]}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_present",
    }
    return {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [statement | members]}


def parse(value: object):
    return parse_document(json.dumps(value).encode())


def test_openvex_inside_of_a_signed_attestation() -> None:
    statement = {
        "predicateType": "https://openvex.dev/ns",
        "subject": [{"digest": {"sha256": "a" * 64}}],
        "predicate": create_openvex(),
    }
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    document = parse({"dsseEnvelope": {"payload": payload}})
    assert (document.type, document.subjects, document.packages) == ("openvex", ("a" * 64,), None)
    (found,) = document.statements
    assert (found.status, found.justification) == ("not_affected", "vulnerable_code_not_present")
    assert found.is_about(IDS, PURL)
    assert not found.is_about(("CVE-2026-1",), PURL)
    assert not found.is_about(IDS, "pkg:apk/alpine/libcrypto3@3.1.0-r0")


@pytest.mark.parametrize(
    ("product", "is_about"),
    [
        ("pkg:oci/app@sha256%3Aabc", True),
        ("pkg:apk/alpine/libssl3@3.1.0-r0", True),
        ("pkg:apk/alpine/libssl3@3.0", False),
        ("pkg:deb/debian/libssl3", False),
    ],
)
def test_product_of_openvex(product: str, is_about: bool) -> None:
    (found,) = parse(create_openvex(products=[{"@id": product}])).statements
    assert found.is_about(IDS, PURL) is is_about


def test_analyses_of_cyclonedx() -> None:
    component = {"bom-ref": "c1", "purl": PURL}
    analysis = {"state": "false_positive", "detail": "not \n linked"}
    item = {"id": "CVE-2026-1234", "analysis": analysis, "affects": [{"ref": "c1"}]}
    value = {"bomFormat": "CycloneDX", "components": [component], "vulnerabilities": [item]}
    (found,) = parse(value).statements
    assert (found.status, found.justification) == ("not_affected", "not linked")
    assert found.is_about(IDS, PURL)
    assert parse({"bomFormat": "CycloneDX", "vulnerabilities": [item]}).packages is None


@pytest.mark.parametrize(
    "members",
    [{"status": "unknown"}, {"status": 1}, {"vulnerability": None}, {"vulnerability": {}}],
)
def test_statement_without_status_or_id_is_left_out(members: dict[str, Any]) -> None:
    assert parse(create_openvex(**members)).statements == ()


@pytest.mark.parametrize(
    "value",
    [
        {"@context": "https://openvex.dev/ns", "statements": {}},
        {"@context": "https://openvex.dev/ns", "statements": [1]},
        {"@context": "https://openvex.dev/ns", "statements": [{"products": 1}]},
        {"bomFormat": "CycloneDX", "vulnerabilities": 1},
        {"bomFormat": "CycloneDX", "vulnerabilities": [[]]},
        {"bomFormat": "CycloneDX", "components": 1, "vulnerabilities": [{"id": "A"}]},
    ],
    ids=range(6),
)
def test_malformed_document(value: object) -> None:
    with pytest.raises(DocumentError):
        parse(value)
