"""The documents of senders."""

from __future__ import annotations

import base64
import json

import pytest

from bundler.bundle.audit.packages.claims.documents import DocumentError, parse_document
from bundler.bundle.audit.packages.purl import parse_purl

CURL = ("deb", "debian/curl", "1:7.88.1")
CYCLONEDX = {
    "bomFormat": "CycloneDX",
    "components": [
        {
            "purl": "pkg:deb/debian/curl@1%3A7.88.1?arch=amd64",
            "components": [{"purl": "pkg:npm/a@1"}],
        },
        {"name": "without purl"},
    ],
}
SPDX = {
    "spdxVersion": "SPDX-2.3",
    "packages": [
        {
            "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:deb/debian/curl@1:7.88.1"}
            ]
        }
    ],
}


def state(predicate, predicate_type="https://spdx.dev/Document", digest="ab" * 32):
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    }


def envelop(statement):
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    return {"payloadType": "application/vnd.in-toto+json", "payload": payload}


@pytest.mark.parametrize(
    ("document", "subjects"),
    [
        (SPDX, None),
        (state(SPDX), ("ab" * 32,)),
        (envelop(state(SPDX)), ("ab" * 32,)),
        ({"dsseEnvelope": envelop(state(SPDX))}, ("ab" * 32,)),
    ],
)
def test_sbom_is_read_from_any_envelope(document, subjects):
    parsed = parse_document(json.dumps(document).encode())
    assert (parsed.type, parsed.subjects) == ("spdx", subjects)
    assert parsed.packages == {CURL: "pkg:deb/debian/curl@1:7.88.1"}


def test_components_of_components_are_read():
    parsed = parse_document(json.dumps(CYCLONEDX).encode())
    assert parsed.packages.keys() == {CURL, ("npm", "a", "1")}


def test_other_statement_is_no_sbom():
    parsed = parse_document(json.dumps(state({}, "https://slsa.dev/provenance/v1")).encode())
    assert (parsed.type, parsed.packages) == ("https://slsa.dev/provenance/v1", None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"3",
        b"{}",
        b"\xff",
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b'{"bomFormat": 1, "components": 2}',
        b'{"bomFormat": 1, "components": [2]}',
        b'{"spdxVersion": 1, "packages": {"a": 1}}',
        b'{"payload": "***"}',
        b'{"predicateType": 1, "subject": [{}]}',
        json.dumps(envelop(envelop(envelop(envelop(envelop({})))))).encode(),
    ],
)
def test_malformed_document_is_refused(raw):
    with pytest.raises(DocumentError):
        parse_document(raw)


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        (
            "pkg:rpm/fedora/bash@5.2-1.fc39?arch=x86_64&epoch=1",
            ("rpm", "fedora/bash", "1:5.2-1.fc39"),
        ),
        ("pkg:npm/%40scope/a@1.0#sub", ("npm", "@scope/a", "1.0")),
        ("pkg:npm/@scope/a", ("npm", "@scope/a", "")),
        ("pkg:pypi/Django@5", ("pypi", "django", "5")),
        ("pkg:golang/GitHub.com/x/Y@v1", ("golang", "github.com/x/y", "v1")),
        ("http://x", None),
        ("pkg:npm", None),
        ("", None),
    ],
)
def test_purl_is_parsed(text, identity):
    assert parse_purl(text) == identity
