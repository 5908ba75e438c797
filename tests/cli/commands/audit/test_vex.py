"""Statements about vulnerabilities (VEX) count only where the rules file names their signer."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from bundler.trust.sigstore.bundle import MEDIA_TYPE, create_key_bundle
from bundler.trust.sigstore.dsse import IN_TOTO, STATEMENT, sign_envelope
from bundler.trust.sigstore.keys import accept_private_key
from tests.bundle.audit.vulnerabilities.conftest import create_record
from tests.fakes import images, sigstore, tars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

LAYER = tars.layer(
    tars.member("lib/apk/db/installed", b"P:libssl3\nV:3.1.0-r0\no:openssl\n\n"),
    tars.member("etc/os-release", b"ID=alpine\nVERSION_ID=3.19.1\n"),
)
IMAGE = images.image(LAYER)
PURL = "pkg:apk/alpine/libssl3@3.1.0-r0?arch=x86_64"
VENDOR, STRANGER = (accept_private_key(sigstore.create_key(), "key") for _ in range(2))
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
DSSE = "application/vnd.dsse.envelope.v1+json"
RULE = "rules: {no-vulnerabilities: error}\n"
SIGNED_BY = "vex:\n- key: vendor.pub\n"


def create_statement(
    *, product: dict[str, Any] | None = None, subject: str = IMAGE.digest, **members: Any
) -> bytes:
    """Create a statement about one vulnerability of the image; ``members`` are those of VEX."""
    stated = {
        "vulnerability": {"name": "CVE-2026-1234"},
        "products": [product or {"@id": PURL}],
        "status": "not_affected",
        "justification": "vulnerable_code_not_present",
    }
    predicate = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [stated | members]}
    return json.dumps(
        {
            "_type": STATEMENT,
            "predicateType": "https://openvex.dev/ns/v0.2.0",
            "subject": [{"digest": {"sha256": subject.removeprefix("sha256:")}}],
            "predicate": predicate,
        }
    ).encode()


def sign(statement: bytes, key=VENDOR) -> bytes:
    return create_key_bundle(key.public, sign_envelope(key, IN_TOTO, statement))


@pytest.fixture
def audit(run_airbundle: RunAirbundle, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Audit the image with these documents among its referrers."""
    record = create_record(
        "ALPINE-CVE-2026-1234", "Alpine:v3.19", "openssl", ("introduced", "0"),
        upstream=["CVE-2026-1234"], severity=[{"type": "CVSS_V3", "score": VECTOR}],
    )  # fmt: skip
    (tmp_path / "vendor.pub").write_bytes(VENDOR.public.to_pem())

    def run(
        *documents: bytes, rules: str = RULE + SIGNED_BY, kind: str = MEDIA_TYPE, **change: Any
    ) -> dict[str, Any]:
        named = {
            f"vex{number}": images.artifact(kind, data, media_type=kind, subject=IMAGE)
            for number, data in enumerate(documents)
        }
        images.write_layout(tmp_path / "layout", {"a": IMAGE} | named)
        (tmp_path / "osv.json").write_text(json.dumps(record | change))
        (tmp_path / "gate.yaml").write_text(rules)
        arguments = ("oci:layout:a", "--rules", "gate.yaml", "--database", "osv.json")
        result = run_airbundle("audit", *arguments, "--json")
        verdict: dict[str, Any] = json.loads(result.stdout)
        assert result.status == (0 if verdict["passed"] else 12), result.stderr
        return verdict

    return run


def test_statement_of_a_named_signer_accepts_the_finding(audit, run_airbundle: RunAirbundle):
    document = sign(create_statement())
    verdict = audit(document)
    assert verdict["findings"] == []
    (accepted,) = verdict["waived"]
    assert accepted["code"] == "no-vulnerabilities"
    assert accepted["waiver"] == {
        "reason": "not_affected, vulnerable_code_not_present",
        "author": f"VEX by key {VENDOR.public.id[:16]} (vendor.pub)",
        "origin": f"sha256:{sha256(document).hexdigest()}",
    }
    arguments = ("oci:layout:a", "--rules", "gate.yaml", "--database", "osv.json")
    assert "vulnerable_code_not_present" in run_airbundle("audit", *arguments).stdout


def test_attestation_without_a_bundle_counts(audit):
    """Cosign 2 attaches the envelope by itself."""
    envelope = sign_envelope(VENDOR, IN_TOTO, create_statement())
    assert audit(json.dumps(envelope.to_json()).encode(), kind=DSSE)["passed"]


@pytest.mark.parametrize(("name", "passes"), [(sigstore.EMAIL, True), ("other@example.org", False)])
def test_identity_counts_with_its_trusted_root(audit, tmp_path: Path, name: str, passes: bool):
    fulcio, log = sigstore.FakeFulcio(), sigstore.FakeLog()
    root = sigstore.create_trusted_root(fulcio, log)
    (tmp_path / "root.json").write_text(json.dumps(root))
    bundle = sigstore.create_keyless_bundle(
        IMAGE.root.data, fulcio, log, statement=create_statement()
    )
    document = json.dumps(bundle).encode()
    signer = f"{{issuer: {sigstore.ISSUER}, identity: {name}, trustedRoot: root.json}}"
    assert audit(document, rules=f"{RULE}vex:\n- {signer}\n")["passed"] is passes


OTHERS = {
    "no signer is named": ((sign(create_statement()),), {"rules": RULE}),
    "another signer": ((sign(create_statement(), STRANGER),), {}),
    "not signed": (
        (json.dumps(json.loads(create_statement())["predicate"]).encode(),),
        {"kind": "application/vnd.openvex+json"},
    ),
    "other image in scope": (
        (sign(create_statement()),),
        {"rules": f"{RULE}{SIGNED_BY}  images: [quay.io/vendor]\n"},
    ),
    "about another image": ((sign(create_statement(subject="sha256:" + "0" * 64)),), {}),
    "affected": ((sign(create_statement(status="affected")),), {}),
    "contradicted": (
        (sign(create_statement()), sign(create_statement(status="under_investigation"))),
        {},
    ),
    "no product": ((sign(create_statement(products=[])),), {}),
    "product without a purl": ((sign(create_statement(product={"@id": "app"})),), {}),
    "part without a purl": (
        (sign(create_statement(product={"@id": "pkg:oci/a", "subcomponents": [{"@id": "x"}]})),),
        {},
    ),
    "other package": ((sign(create_statement(product={"@id": "pkg:apk/alpine/curl"})),), {}),
    "other version": ((sign(create_statement(product={"@id": "pkg:apk/alpine/libssl3@9"})),), {}),
    "product is another image": (
        (sign(create_statement(product={"@id": f"pkg:oci/a@sha256%3A{'0' * 64}"})),),
        {},
    ),
    "one CVE of several": (
        (sign(create_statement()),),
        {"id": "ALPINE-1", "upstream": ["CVE-2026-1234", "CVE-2026-9999"]},
    ),
}


def test_statements_about_each_cve_of_an_advisory_count_together(audit):
    documents = [
        sign(create_statement(vulnerability={"name": name}))
        for name in ("CVE-2026-1234", "CVE-2026-9999")
    ]
    assert audit(*documents, id="ALPINE-1", upstream=["CVE-2026-1234", "CVE-2026-9999"])["passed"]


@pytest.mark.parametrize(("documents", "options"), OTHERS.values(), ids=OTHERS)
def test_other_statements_do_not_count(audit, documents, options):
    verdict = audit(*documents, **options)
    assert [item["code"] for item in verdict["findings"]] == ["no-vulnerabilities"]
    assert verdict["waived"] == []


@pytest.mark.parametrize(
    "product",
    [
        {"@id": "pkg:oci/app"},
        {"@id": f"pkg:oci/app@{IMAGE.digest.replace(':', '%3A')}"},
        {"@id": "pkg:oci/app", "subcomponents": [{"@id": "pkg:apk/alpine/libssl3"}]},
        {"@id": "app", "identifiers": {"purl": PURL}},
    ],
)
def test_products_that_contain_the_package(audit, product):
    assert audit(sign(create_statement(product=product)))["passed"]


def test_statement_that_does_not_count_is_shown(audit):
    (finding,) = audit(sign(create_statement(), STRANGER))["findings"]
    assert "VEX states not_affected" in finding["text"]


@pytest.mark.parametrize(
    "vex",
    ["[]", "[{key: absent.pub}]", "[{key: gate.yaml}]", "[{issuer: a}]", "[{kye: vendor.pub}]"],
)
def test_mistakes_in_the_rules_file(run_airbundle: RunAirbundle, tmp_path: Path, vex: str):
    (tmp_path / "gate.yaml").write_text(f"{RULE}vex: {vex}\n")
    assert run_airbundle("audit", "oci:absent", "--rules", "gate.yaml").status == 2
