"""Receipts of imports: their content, their signatures, and ``verify-receipt``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from bundler.trust import keys
from bundler.trust.sigstore.keys import SigningKey, generate_signing_key
from tests.cli.commands.records.test_records import KEY, RECEIPT_KEY, SERIAL, Site
from tests.cli.commands.records.test_schemas import load
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle

ACCEPT = [{"type": "insecureAcceptAnything"}]


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Site:
    return Site(tmp_path, run_airbundle)


def write_policy(site: Site, **requirements: Any) -> str:
    """Write a policy for two images by their tags, and return its digest."""
    scopes = {f"localhost/layout:{tag}": item for tag, item in requirements.items()}
    document = {"default": [{"type": "reject"}], "transports": {"docker": scopes}}
    raw = json.dumps(document).encode()
    (site.path / "policy.json").write_bytes(raw)
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def export_signed_image(site: Site, signer: SigningKey) -> None:
    """Export an image without and one with sigstore signatures of its platforms."""
    web, app = bundles.sample().values()
    sign = {"reference": "localhost/layout:app", "sign": signer.sign}
    signatures = dict(images.cosign_signature(child, **sign) for child in app.children)
    images.write_layout(site.path / "layout", {"web": web, "app": app} | signatures)
    manifest = "name: plant-7\nimages: ['oci:./layout:web', 'oci:./layout:app']\n"
    (site.path / "plant.yaml").write_text(manifest)
    keys.write_key_pair(site.path / "export", KEY, None)
    options = ("--sign-key", "export.key", "--insecure-policy")
    exported = site.run("export", "plant.yaml", "bundle", *options)
    assert exported.status == 0, exported.stderr


def write_trust_file(
    site: Site, receipt: tuple[keys.PrivateKey, ...] = (), **members: Any
) -> bytes:
    """Write version 3 of a trust file; ``receipt`` are the keys with this role, all required."""
    roles = {"trust": [KEY], "bundle": [KEY]} | ({"receipt": receipt} if receipt else {})
    document = {
        "_type": "airbundle/trust/v1",
        "version": 3,
        "keys": {key.public.id: {"pem": key.public.to_pem().decode()} for key in (KEY, *receipt)},
        "roles": {
            role: {"keys": [key.public.id for key in signers], "threshold": len(signers)}
            for role, signers in roles.items()
        },
    }
    raw = json.dumps(document | members).encode()
    (site.path / "trust.json").write_bytes(raw)
    return raw


def import_with_receipt(site: Site, *options: str) -> dict[str, Any]:
    """Import the bundle, and return the receipt, which matches its schema."""
    signing = ("--receipt", "receipt.json", "--receipt-key", "receipt.key")
    result = site.import_("bundle", *signing, *options)
    assert result.status == 0, result.stderr
    receipt = json.loads((site.path / "receipt.json").read_bytes())
    jsonschema.validate(receipt, load("receipt"))
    jsonschema.validate(site.read_log()[-1], load("log-entry"))
    return receipt


def test_receipt_is_signed_and_kept_in_records(site: Site):
    site.write_bundle("bundle")
    options = ("--receipt", "receipt.json", "--receipt-key", "receipt.key")
    assert site.import_("bundle", *options).status == 0
    suffix = f".{RECEIPT_KEY.public.id[:16]}.sig"
    raw = (site.path / "receipt.json").read_bytes()
    RECEIPT_KEY.public.verify((site.path / f"receipt.json{suffix}").read_bytes(), raw)
    (kept,) = (site.records / "receipts").glob("*.json")
    assert kept.read_bytes() == raw
    assert kept.with_name(kept.name + suffix).exists()
    assert kept.stat().st_mode & 0o777 == 0o600
    result = site.run("verify-receipt", "receipt.json", "--key", "receipt.pub")
    assert result.status == 0, result.stderr
    assert f"plant-7 {SERIAL}: 2 images to oci:inside" in result.stdout
    assert site.read_log()[0]["receipt"]["name"] == kept.name


def test_changed_or_unsigned_receipt_is_refused(site: Site):
    site.write_bundle("bundle")
    site.import_("bundle", "--receipt", "receipt.json", "--receipt-key", "receipt.key")
    command = ("verify-receipt", "receipt.json", "--key")
    refused = site.run(*command, "key.pub")
    assert refused.status == 4
    signer = RECEIPT_KEY.public.id[:16]
    assert f"signed by {signer}, but not by a trusted key" in refused.stderr
    path = site.path / "receipt.json"
    path.write_bytes(path.read_bytes().replace(b'"new"', b'"old"', 1))
    assert site.run(*command, "receipt.pub").status == 4
    path.write_bytes(b"{}")
    assert site.run(*command, "receipt.pub").status == 4


def test_key_of_bundles_cannot_sign_receipts(site: Site):
    site.write_bundle("bundle")
    options = ("--key", "receipt.pub", "--receipt-key", "receipt.key")
    assert site.import_("bundle", *options).status == 2


def test_receipt_states_what_the_policy_accepted_and_by_which_key(site: Site):
    signer = generate_signing_key()
    export_signed_image(site, signer)
    (site.path / "sigstore.pub").write_bytes(signer.public.to_pem())
    signed = [{"type": "sigstoreSigned", "keyPath": str(site.path / "sigstore.pub")}]
    digest = write_policy(site, web=ACCEPT, app=signed)
    receipt = import_with_receipt(site, "--policy", "policy.json")
    assert receipt["policy"] == {"status": "applied", "digest": digest}
    web, app = receipt["images"]
    assert web["accepted"] == [
        {
            "manifest": web["digest"],
            "scope": "docker:localhost/layout:web",
            "rule": "insecureAcceptAnything",
        }
    ]
    manifests = {item.pop("manifest") for item in app["accepted"]}
    assert len(manifests) == 2
    assert app["digest"] not in manifests
    met = {"scope": "docker:localhost/layout:app", "rule": "sigstoreSigned"}
    assert app["accepted"] == [met | {"key": signer.public.id}] * 2
    assert site.read_log()[0]["policy"] == receipt["policy"]

    shown = site.run("verify-receipt", "receipt.json", "--key", "receipt.pub").stdout
    assert f"policy: {digest}" in shown
    assert f"sigstoreSigned {signer.public.id}" in shown
    assert digest[:19] in site.run("log", "show").stdout


def test_log_shows_refusal_by_the_policy(site: Site):
    site.write_bundle("bundle")
    assert site.import_("bundle").status == 0
    write_policy(site)
    assert site.import_("bundle", "--policy", "policy.json", "--dry-run").status == 4
    assert len(site.read_log()) == 1
    assert site.import_("bundle", "--policy", "policy.json").status == 4
    entry = site.read_log()[-1]
    jsonschema.validate(entry, load("log-entry"))
    assert (entry["event"], entry["refusal"]) == ("refused", "policy")
    assert site.import_("bundle").status == 0


@pytest.mark.parametrize("option", ["", "--insecure-policy"])
def test_receipt_states_why_no_policy_was_applied(site: Site, option: str):
    site.write_bundle("bundle")
    status = "ignored"
    if not option:
        status = "applied" if Path("/etc/containers/policy.json").exists() else "none"
    options = (option, "--reason", "test") if option else ()
    receipt = import_with_receipt(site, *options)
    assert receipt["policy"]["status"] == status
    assert all(("accepted" in image) == (status == "applied") for image in receipt["images"])
    shown = site.run("verify-receipt", "receipt.json", "--key", "receipt.pub").stdout
    assert f"policy: {receipt['policy'].get('digest', status)}" in shown


def test_receipt_states_decision_on_the_signers(site: Site):
    site.write_bundle("bundle")
    receipt = import_with_receipt(site)
    assert receipt["trust"] == {
        "authenticated": True,
        "accepted": [KEY.public.id],
        "threshold": 1,
        "keys": [KEY.public.id],
    }
    raw = write_trust_file(site)
    result = site.run("import", "bundle", "oci:inside", "--trust", "trust.json", "--json")
    assert result.status == 0, result.stderr
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert json.loads(result.stdout)["trust"] == receipt["trust"] | {"version": 3, "digest": digest}
    unsigned = ("import", "bundle", "oci:inside", "--key", "receipt.pub", "--json")
    result = site.run(*unsigned, "--allow-unsigned", "--reason", "test")
    assert json.loads(result.stdout)["trust"] == {
        "authenticated": False,
        "accepted": [],
        "threshold": 1,
        "keys": [RECEIPT_KEY.public.id],
    }


def test_receipt_and_log_of_older_version_are_shown(site: Site):
    """They lack the decisions on trust."""
    site.write_bundle("bundle")
    receipt = import_with_receipt(site)
    for member in ("trust", "policy"):
        del receipt[member]
    raw = json.dumps(receipt).encode()
    (site.path / "receipt.json").write_bytes(raw)
    signature = site.path / f"receipt.json.{RECEIPT_KEY.public.id[:16]}.sig"
    signature.write_bytes(RECEIPT_KEY.sign(raw))
    shown = site.run("verify-receipt", "receipt.json", "--key", "receipt.pub")
    assert shown.status == 0, shown.stderr
    assert f"plant-7 {SERIAL}" in shown.stdout
    assert "policy" not in shown.stdout


def test_command_signs_the_receipt(site: Site):
    site.write_bundle("bundle")
    command = f"openssl dgst -sha256 -sign {site.path / 'receipt.key'}"
    options = ("--receipt-sign-cmd", command, "--receipt-sign-cmd-key", "receipt.pub")
    assert site.import_("bundle", "--receipt", "receipt.json", *options).status == 0
    assert site.run("verify-receipt", "receipt.json", "--key", "receipt.pub").status == 0
    assert site.import_("bundle", *options[:2]).status == 2


def test_import_is_recorded_if_a_signer_of_the_receipt_fails(site: Site):
    site.write_bundle("bundle")
    command = ("--receipt-sign-cmd", "false", "--receipt-sign-cmd-key", "receipt.pub")
    result = site.import_("bundle", "--receipt", "receipt.json", *command)
    assert result.status == 1
    assert "receipt.json lacks this signature" in result.stderr
    (entry,) = site.read_log()
    assert (entry["event"], entry["images"]) == ("import", 2)
    raw = (site.path / "receipt.json").read_bytes()
    assert (site.records / "receipts" / entry["receipt"]["name"]).read_bytes() == raw
    assert not list(site.path.glob("receipt.json.*"))


@pytest.mark.parametrize("receipt", ["/proc", "/proc/receipt.json", "none/receipt.json"])
def test_receipt_that_cannot_be_written_is_refused_before_anything_is_pushed(
    site: Site, receipt: str
):
    """The trial finds what the rights do not show, such as a medium that is mounted read-only."""
    site.write_bundle("bundle")
    result = site.import_("bundle", "--receipt", receipt)
    assert result.status == 5
    error, hint = result.stderr.splitlines()
    assert "cannot write the receipt" in error
    assert hint.startswith("hint: ")
    assert not (site.path / "inside").exists()
    assert not (site.records / "log.jsonl").exists()


def test_failing_copy_of_the_receipt_names_the_recorded_one(site: Site):
    """The directory of the copy disappears during the import."""
    site.write_bundle("bundle")
    (site.path / "away").mkdir()
    command = ("--receipt-sign-cmd", "rmdir away", "--receipt-sign-cmd-key", "receipt.pub")
    result = site.import_("bundle", "--receipt", "away/receipt.json", *command)
    assert result.status != 0
    (entry,) = site.read_log()
    recorded = site.records / "receipts" / entry["receipt"]["name"]
    assert f"the import is recorded, and its receipt is {recorded}" in result.stderr


def test_key_without_role_receipt_is_refused_before_anything_is_pushed(site: Site):
    site.write_bundle("bundle")
    other = keys.generate_key()
    write_trust_file(site, (other,))
    command = ("import", "bundle", "oci:inside", "--trust", "trust.json", "--adopt")
    for extra in ((), ("--dry-run",)):
        refused = site.run(*command, "--receipt-key", "receipt.key", *extra)
        assert refused.status == 4
        assert "does not have the role receipt" in refused.stderr
    assert not (site.path / "inside").exists()
    assert not (site.records / "log.jsonl").exists()
    write_trust_file(site)  # no key has the role: the site has not decided who signs receipts
    assert site.run(*command, "--receipt-key", "receipt.key").status == 0


def test_expired_trust_file_verifies_no_receipt(site: Site):
    site.write_bundle("bundle")
    import_with_receipt(site)
    verify = ("verify-receipt", "receipt.json", "--trust", "trust.json")
    write_trust_file(site, (RECEIPT_KEY,))
    assert site.run(*verify).status == 0
    write_trust_file(site, (RECEIPT_KEY,), expires="2026-01-01T00:00:00Z")
    refused = site.run(*verify)
    assert refused.status == 4
    assert "the trust file expired" in refused.stderr
