"""Signatures that do not count are marked wherever signers are listed, with the reason."""

from __future__ import annotations

import json

import jsonschema
import pytest

from tests.cli.commands.records.test_schemas import load
from tests.cli.commands.trust.conftest import ALICE, BOB, CAROL, EXPORT, RECEIPT, Site
from tests.fakes import bundles

TRUST = "--trust site/trust.json"


def set_up(site: Site, *options: str) -> None:
    """Bob has the role bundle, with ``options`` that exclude him from the bundle of the site."""
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key export.pub --role bundle")
    site("trust add 1.json --key bob.pub --role bundle --comment Bob", *options)
    site("trust sign 1.json --key alice.key")
    site.install("site/trust.json")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--stream", "plant-8"), "stream"),
        (("--not-before", "2027-01-01"), "not-yet-valid"),
        (("--not-after", "2026-11-01"), "expired"),
    ],
)
def test_limited_key_is_marked_by_verify_and_in_the_records(
    site: Site, options: tuple[str, ...], problem: str
):
    set_up(site, *options)
    bundles.write(site.directory / "b", keys=(EXPORT, BOB))
    lines = site(f"verify b {TRUST}").stdout.splitlines()
    signed = {line.split()[2]: line for line in lines if line.startswith("signed by")}
    assert "does not count" not in signed[EXPORT.public.id[:4]]
    assert "(Bob); does not count" in signed[BOB.public.id[:4]]
    listed = json.loads(site(f"verify b {TRUST} --json").stdout)["signers"]
    signers = {signer["id"]: signer for signer in listed}
    assert signers[EXPORT.public.id]["counts"] is True
    assert signers[BOB.public.id]["counts"] is False
    assert signers[BOB.public.id]["problem"] == problem

    site(f"import b oci:target --adopt {TRUST} --receipt r.json --receipt-key receipt.key")
    (entry,) = json.loads(site("log show --json").stdout)["entries"]
    assert entry["notCounted"] == {BOB.public.id: problem}
    jsonschema.validate(entry, load("log-entry"))
    assert f"{BOB.public.id[:16]} (does not count: {problem})" in site("log show").stdout
    receipt = json.loads((site.directory / "r.json").read_bytes())
    assert receipt["trust"]["accepted"] == [EXPORT.public.id]
    assert receipt["trust"]["notCounted"] == {BOB.public.id: problem}
    jsonschema.validate(receipt, load("receipt"))
    shown = site("verify-receipt r.json --key receipt.pub").stdout
    assert f"{BOB.public.id[:16]} (does not count: {problem})" in shown


def test_key_with_another_role_is_marked(site: Site):
    set_up(site)
    bundles.write(site.directory / "b", keys=(EXPORT, ALICE))
    assert "; does not count: it does not have the role bundle" in site(f"verify b {TRUST}").stdout
    site(f"import b oci:target --adopt {TRUST}")
    (entry,) = json.loads(site("log show --json").stdout)["entries"]
    assert entry["notCounted"] == {ALICE.public.id: "role"}


def test_bundle_without_enough_signers_marks_those_that_do_not_count(site: Site):
    set_up(site)
    bundles.write(site.directory / "b", keys=(ALICE,))
    result = site(f"verify b {TRUST}", status=4)
    assert "; does not count: it does not have the role bundle" in result.stdout


def test_refused_bundle_is_recorded_with_the_signers_that_do_not_count(site: Site):
    set_up(site)
    bundles.write(site.directory / "b", keys=(EXPORT, ALICE))
    bundles.write(site.directory / "old", keys=(EXPORT, ALICE), serial=1795417100)
    site(f"import b oci:target --adopt {TRUST}")
    site(f"import old oci:target {TRUST}", status=4)
    entry = json.loads(site("log show --json").stdout)["entries"][-1]
    assert (entry["refusal"], entry["notCounted"]) == ("rollback", {ALICE.public.id: "role"})
    jsonschema.validate(entry, load("log-entry"))


def test_signature_of_a_draft_by_a_key_without_the_role_is_marked(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key receipt.pub --role receipt")
    site("trust sign 1.json --key alice.key --key receipt.key")
    lines = site("trust show 1.json").stdout.splitlines()
    signed = {line.split()[2]: line for line in lines if line.startswith("signed by")}
    assert "role trust" not in signed[ALICE.public.id[:16].rstrip(",")]
    (line,) = [line for line in lines if line.startswith(f"signed by {RECEIPT.public.id[:16]}")]
    assert "does not have the role trust" in line


def test_no_refusal_suggests_to_skip_the_verification(site: Site):
    set_up(site)
    bundles.write(site.directory / "unsigned", keys=())
    bundles.write(site.directory / "wrong-role", keys=(ALICE,))
    bundles.write(site.directory / "stranger", keys=(CAROL,))
    bundles.write(site.directory / "one-of-two", keys=(EXPORT,))
    two = "--key export.pub --key bob.pub --threshold 2 --reason test"
    for bundle, trust in [
        ("unsigned", TRUST),
        ("wrong-role", TRUST),
        ("stranger", TRUST),
        ("one-of-two", two),
    ]:
        result = site(f"import {bundle} oci:target --adopt {trust}", status=4)
        hint = result.stderr.partition("hint: ")[2]
        assert hint
        assert "--allow" not in hint


def test_signature_of_a_stranger_beside_one_that_does_not_count_is_named(site: Site):
    set_up(site)
    bundles.write(site.directory / "b", keys=(ALICE, CAROL))
    for command in ("verify b", "import b oci:target --adopt"):
        message = site(f"{command} {TRUST}", status=4).stderr
        assert f"also signed by {CAROL.public.id[:16]}, not in the trust file" in message
