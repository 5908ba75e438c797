"""``airbundle trust``: a site sets up its trust file, and rotates its keys."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.cli.commands.records.test_schemas import load
from tests.cli.commands.trust.conftest import ALICE, BOB, CAROL, EXPORT, Site
from tests.fakes import bundles

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle


def test_site_imports_bundles_by_its_trust_file(site: Site, hermetic_environment: dict[str, str]):
    site.set_up()
    bundles.write(site.directory / "b", keys=(EXPORT,))
    bundles.write(site.directory / "other", keys=(EXPORT,), stream="plant-8")
    bundles.write(site.directory / "unsigned")
    bundles.write(site.directory / "role", keys=(ALICE,))
    site("verify b --trust site/trust.json")
    assert "--adopt" in site("import b oci:target --trust site/trust.json", status=4).stderr
    site("import b oci:target --trust site/trust.json --adopt")
    for name, reason in (("other", "stream plant-8"), ("unsigned", "not signed"), ("role", "role")):
        for command in (f"verify {name}", f"import {name} oci:{name}-target"):
            result = site(f"{command} --trust site/trust.json", status=4)
            (line,) = [line for line in result.stderr.splitlines() if "error:" in line]
            assert reason in line
        assert not (site.directory / f"{name}-target").exists()
    # Without options, the trust file in the user's configuration applies.
    site("verify b", status=4)
    site("trust init 1.json --fingerprint", site.read_fingerprint("1.json"))
    site("verify b")
    site("import b oci:second")
    site("verify b --key alice.pub", status=4)


def test_rotation_reaches_a_site_in_a_bundle(site: Site):
    site.set_up()
    site.install("outside/trust.json")
    old = bundles.write(site.directory / "old", keys=(EXPORT,))
    # Carol replaces Bob, and another key replaces the exporter's.
    removed = f"--remove {BOB.public.id[:16]} --remove {EXPORT.public.id}"
    rotate = "trust rotate 2.json --trust outside/trust.json"
    site(f"{rotate} {removed}", status=2)  # too few keys for the threshold
    site(rotate)
    site("trust add 2.json --key carol.pub --role trust --comment Carol")
    site("trust add 2.json --key receipt.pub --role bundle")
    site(f"{rotate} {removed}")
    site("trust sign 2.json --key alice.key --key carol.key")
    site("trust update 2.json --trust outside/trust.json", status=4)  # Bob has not signed
    site("trust sign 2.json --key bob.key")
    shown = site("trust update 2.json --trust outside/trust.json").stdout
    assert "version 2" in shown
    assert "Carol" in shown
    image = f"oci:{old}:docker.io/library/nginx:1.27"
    (site.directory / "m.yaml").write_text(f"name: plant-7\nimages: ['{image}']\n")
    site("export m.yaml stick --sign-key receipt.key --trust outside/trust.json")
    assert (site.directory / "stick/trust/2.trust.json").exists()
    for command in (
        "verify stick",
        "verify stick --offline --adopt",
        "import stick oci:dry --adopt",
    ):
        dry = " --dry-run --verify-first" if "import" in command else ""
        result = site(f"{command} --trust site/trust.json{dry}")
        assert result.stderr.count("version 2 of the trust file is used") == 1
    assert json.loads(site("trust show site/trust.json --json").stdout)["version"] == 1
    before = (site.directory / "site/trust.json").read_bytes()
    site("import stick oci:target --trust site/trust.json --adopt")
    assert json.loads(site("trust show site/trust.json --json").stdout)["version"] == 2
    site("verify old --trust site/trust.json", status=4)  # revoked by absence
    (site.directory / "site/trust.json").write_bytes(before)
    result = site("import old oci:target --trust site/trust.json --adopt", status=4)
    assert "trust file: older than the one used before" in result.stderr
    site("verify old --key export.pub")


@pytest.mark.parametrize(
    ("stream", "signers", "missing", "status"),
    [
        ("plant-7", "--sign-key export.key", 1, 0),
        ("plant-7", "--sign-key export.key --sign-key bob.key", 1, 0),
        ("plant-7", "--sign-key export.key --sign-key receipt.key", 0, 0),
        ("plant-7", "--sign-key carol.key", None, 4),
        ("plant-7", "--sign-key alice.key", None, 4),
        ("plant-8", "--sign-key export.key", None, 4),
        ("plant-7", "--unsigned", 2, 0),
    ],
)
def test_rehearsal_of_an_export_applies_the_trust_file(
    site: Site, stream: str, signers: str, missing: int | None, status: int
):
    site("trust add 1.json --key alice.pub --key bob.pub --role trust --threshold trust=1")
    site("trust add 1.json --key export.pub --key receipt.pub --role bundle --stream plant-7")
    site("trust add 1.json --key receipt.pub --role bundle --threshold bundle=2")
    site("trust sign 1.json --key alice.key")
    site.install("outside/trust.json")
    old = bundles.write(site.directory / "old")
    image = f"oci:{old}:docker.io/library/nginx:1.27"
    (site.directory / "m.yaml").write_text(f"name: {stream}\nimages: ['{image}']\n")
    export = f"export m.yaml stick {signers} --trust outside/trust.json --rehearse"
    shown = site(export, status=status).stdout
    assert ("can be imported" in shown) == (missing == 0)
    if missing:
        assert f"{missing} more signature" in shown
        rehearsal = json.loads(site(f"{export} --json").stdout)["rehearsal"]
        assert rehearsal["missingSignatures"] == missing


def test_chain_with_a_gap_or_a_fork_is_refused(site: Site):
    site.set_up()
    bundle = bundles.write(site.directory / "b", keys=(EXPORT,))
    (bundle / "trust").mkdir()
    (bundle / "trust/3.trust.json").write_bytes((site.directory / "1.json").read_bytes())
    for command in ("verify b", "import b oci:target"):
        assert "missing" in site(f"{command} --trust site/trust.json", status=4).stderr
    (bundle / "trust/3.trust.json").rename(bundle / "trust/1.trust.json")
    site("verify b --trust site/trust.json")
    text = (bundle / "trust/1.trust.json").read_text()
    (bundle / "trust/1.trust.json").write_text(text.replace("plant-7", "plant-9"))
    for command in ("verify b", "import b oci:target"):
        assert (
            "not signed by the keys of this site"
            in site(f"{command} --trust site/trust.json", status=4).stderr
        )


def test_refused_fork_is_in_the_log(site: Site):
    site.set_up()
    site("trust add fork.json --key alice.pub --key bob.pub --role trust --threshold trust=2")
    site("trust add fork.json --key carol.pub --role bundle")
    site("trust sign fork.json --key alice.key --key bob.key")
    for name, key in (("b", EXPORT), ("by-carol", CAROL)):
        bundle = bundles.write(site.directory / name, keys=(key,))
        (bundle / "trust").mkdir()
        for file in site.directory.glob("fork.json*"):
            copy = bundle / "trust" / file.name.replace("fork.json", "1.trust.json")
            copy.write_bytes(file.read_bytes())
        refused = site(f"import {name} oci:target --trust site/trust.json", status=4)
        assert "two different files with version 1" in refused.stderr
    # A signer of whom the trust file of the site knows nothing proves no stream.
    (entry,) = json.loads(site("log show --json").stdout)["entries"]
    assert (entry["event"], entry["refusal"]) == ("refused", "trust-file")
    assert (entry["stream"], entry["signedBy"]) == ("plant-7", [EXPORT.public.id])
    jsonschema.validate(entry, load("log-entry"))


def test_wrong_fingerprint_installs_nothing(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust sign 1.json --key alice.key")
    site("trust init 1.json --trust site/trust.json --fingerprint", "ab" * 32, status=4)
    site("trust init 1.json --trust site/trust.json --fingerprint abc", status=2)
    assert not (site.directory / "site").exists()


def test_replaced_trust_file_ends_the_old_sequence(site: Site):
    """The versions that earlier imports recorded no longer count."""
    test_rotation_reaches_a_site_in_a_bundle(site)
    before = (site.directory / "site/trust.json").read_bytes()
    site("trust add new.json --key carol.pub --role trust")
    site("trust add new.json --key export.pub --role bundle")
    site("trust sign new.json --key carol.key")
    init = "trust init new.json --trust site/trust.json --fingerprint"
    digits = site.read_fingerprint("new.json")
    site(init, digits, status=10)
    site(init, digits, "--replace", status=2)
    site(init, "ab" * 32, "--replace", "--reason", "keys lost", status=4)
    assert (site.directory / "site/trust.json").read_bytes() == before
    assert json.loads(site("log show --json").stdout)["entries"][-1]["event"] == "refused"
    site(init, digits, "--replace", "--reason", "keys lost")
    entry = json.loads(site("log show --json").stdout)["entries"][-1]
    assert (entry["event"], entry["reason"]) == ("trust", "keys lost")
    assert entry["trustFile"]["version"] == 1
    jsonschema.validate(entry, load("log-entry"))
    site("import old oci:target --trust site/trust.json --allow-rollback --reason test")
    site("log verify")


def test_key_for_bundles_and_receipts_is_refused(site: Site):
    site("trust add 1.json --key export.pub --role trust --role bundle --role receipt", status=2)
    assert not (site.directory / "1.json").exists()


@pytest.mark.parametrize(
    "limit", ["--stream plant-7", "--not-before 2027-01-01", "--not-after 2027-12-25"]
)
def test_limit_that_would_not_hold_is_refused(site: Site, limit: str):
    """A trust file states no date and no stream, so the role trust cannot be limited by them."""
    refused = site(f"trust add 1.json --key alice.pub --role trust {limit}", status=2)
    assert f"{limit.split(maxsplit=1)[0]}: " in refused.stderr
    assert not (site.directory / "1.json").exists()


def test_date_means_the_start_or_the_end_of_its_day(site: Site):
    site("trust add 1.json --key alice.pub --role trust --expires 2028-01-31")
    site(
        "trust add 1.json --key export.pub --role bundle --not-before 2027-01-01"
        " --not-after 2027-12-25"
    )
    shown = json.loads(site("trust show 1.json --json").stdout)
    key = shown["keys"][EXPORT.public.id]
    assert (key["notBefore"], key["notAfter"], shown["expires"]) == (
        "2027-01-01T00:00:00Z",
        "2027-12-25T23:59:59Z",
        "2028-01-31T23:59:59Z",
    )
    site("trust add 1.json --key alice.pub --role trust --expires 2028-01-31T12:00:00Z")
    shown = json.loads(site("trust show 1.json --json").stdout)
    assert shown["expires"] == "2028-01-31T12:00:00Z"
    site("trust rotate 2.json --trust 1.json")  # keeps the time
    assert json.loads(site("trust show 2.json --json").stdout)["expires"] == shown["expires"]


def test_show_lists_the_signatures_of_a_draft(site: Site):
    site("trust add 1.json --key alice.pub --key bob.pub --role trust --threshold trust=2")
    assert json.loads(site("trust show 1.json --json").stdout)["signedBy"] == []
    site("trust sign 1.json --key bob.key")
    assert json.loads(site("trust show 1.json --json").stdout)["signedBy"] == [BOB.public.id[:16]]
    assert f"signed by {BOB.public.id[:16]}" in site("trust show 1.json").stdout
    (site.directory / f"1.json.{BOB.public.id[:16]}.sig").write_bytes(ALICE.sign(b"other"))
    site("trust show 1.json", status=4)


def test_missing_signatures_of_a_trust_file_are_named(site: Site):
    site("trust add 1.json --key alice.pub --role trust --comment Alice")
    site("trust add 1.json --key bob.pub --role trust --comment Bob --threshold trust=2")
    site("trust sign 1.json --key bob.key")
    lines = site("trust show 1.json").stdout.splitlines()
    alice = f"{ALICE.public.id[:16]} (Alice)"
    assert f"signed by 1 of 2 required keys; not by {alice}" in lines
    fingerprint = site.read_fingerprint("1.json")
    result = site("trust init 1.json --trust site/trust.json --fingerprint", fingerprint, status=4)
    assert f"not signed by {alice}\n" in result.stderr


def test_missing_signatures_of_a_bundle_are_named(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key bob.pub --role bundle --comment Bob")
    site("trust add 1.json --key export.pub --role bundle --threshold bundle=2")
    site("trust sign 1.json --key alice.key")
    site.install("site/trust.json")
    bundles.write(site.directory / "b", keys=(EXPORT,))
    result = site("verify b --trust site/trust.json", status=4)
    assert f"no signature that counts by {BOB.public.id[:16]} (Bob)" in result.stderr


def test_key_that_loses_a_role_is_named(site: Site):
    site("trust add 1.json --key alice.pub --key bob.pub --role trust --threshold trust=2")
    result = site("trust add 1.json --key alice.pub --role bundle", status=2)
    assert f"key {ALICE.public.id[:16]} no longer has the role trust" in result.stderr
    site("trust add 1.json --key alice.pub --role bundle --role trust")


def test_removed_key_keeps_its_name_in_the_log(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key export.pub --role bundle --comment Exporter")
    site("trust sign 1.json --key alice.key")
    digits = site.read_fingerprint("1.json")
    site("trust init 1.json --fingerprint", digits)
    bundles.write(site.directory / "b", keys=(EXPORT,))
    site("import b oci:target --adopt")
    site("trust rotate 2.json")
    site("trust add 2.json --key receipt.pub --role bundle")
    site(f"trust rotate 2.json --remove {EXPORT.public.id}")
    site("trust sign 2.json --key alice.key")
    site("trust update 2.json")
    assert f"{EXPORT.public.id[:16]} (Exporter)" in site("log show").stdout


def test_signed_draft_is_not_changed(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust sign 1.json --key alice.key")
    site("trust add 1.json --key bob.pub --role trust", status=10)


@pytest.mark.parametrize("value", ["0", "-1", "true", "1.0", "x"])
def test_invalid_threshold_is_refused(site: Site, value: str):
    site(f"trust add 1.json --key alice.pub --role trust --threshold trust={value}", status=2)
    bundles.write(site.directory / "b", keys=(EXPORT,))
    site(f"verify b --key export.pub --threshold {value}", status=2)
    site(f"import b oci:target --key export.pub --threshold {value}", status=2)


def test_openssl_and_sha256sum_check_a_trust_file(site: Site):
    """The commands are those in the documentation."""
    site.set_up()
    fingerprint = site.read_fingerprint("1.json").replace(" ", "")
    command = (
        f"echo '{fingerprint}  1.json' | sha256sum -c --strict - && "
        f"openssl dgst -sha256 -verify alice.pub -signature 1.json.{ALICE.public.id[:16]}.sig"
        " 1.json"
    )
    subprocess.run(command, shell=True, cwd=site.directory, check=True)


def test_import_with_keys_overrides_the_trust_file_of_the_site(site: Site):
    """It needs a reason, is recorded, and adopts no stream."""
    site.set_up()
    bundles.write(site.directory / "b", keys=(CAROL,))
    site("trust init 1.json --fingerprint", site.read_fingerprint("1.json"))
    assert "trust file" in site("verify b --key carol.pub").stderr
    site("verify b --offline --key carol.pub", status=4)
    with_keys = "import b oci:target --key carol.pub"
    site(with_keys, status=2)
    assert "--adopt" in site(f"{with_keys} --reason test", status=4).stderr
    site(f"{with_keys} --reason test --adopt")
    entry = json.loads(site("log show --json").stdout)["entries"][-1]
    assert (entry["overrides"], entry["reason"]) == (["--key"], "test")
    jsonschema.validate(entry, load("log-entry"))


def test_import_with_another_trust_file_overrides_that_of_the_site(site: Site):
    """It needs a reason, is recorded, adopts no stream, and its version is of another sequence."""
    site.set_up()
    site("trust init 1.json --fingerprint", site.read_fingerprint("1.json"))
    site("trust add other.json --key carol.pub --role trust --role bundle")
    (site.directory / "other.json").write_text(
        (site.directory / "other.json").read_text().replace('"version":1', '"version":7')
    )
    bundles.write(site.directory / "b", keys=(CAROL,))
    assert "leave --trust out" in site("verify b --trust other.json").stderr
    with_file = "import b oci:target --trust other.json"
    assert "--reason" in site(with_file, status=2).stderr
    assert "--adopt" in site(f"{with_file} --reason test", status=4).stderr
    site(f"{with_file} --reason test --adopt")
    entry = json.loads(site("log show --json").stdout)["entries"][-1]
    assert (entry["overrides"], entry["reason"]) == (["--trust"], "test")
    assert "trust" not in entry
    jsonschema.validate(entry, load("log-entry"))
    # The site still imports by version 1 of its own file, which is not an override by its name.
    bundles.write(site.directory / "next", keys=(EXPORT,), serial=1795417300)
    installed = next(site.directory.rglob(".config/airbundle/trust.json"))
    site("import next oci:target --existing overwrite --adopt --trust", installed)
    assert "overrides" not in json.loads(site("log show --json").stdout)["entries"][-1]


def test_options_for_keys_and_trust_files_are_exclusive(site: Site):
    site.set_up()
    bundles.write(site.directory / "b", keys=(EXPORT,))
    site("verify b --trust site/trust.json --key export.pub", status=2)
    site("verify b --trust site/trust.json --threshold 2", status=2)
    site("verify b --trust absent.json", status=9)


def test_receipts_are_signed_by_keys_with_their_role(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key export.pub --role bundle")
    site("trust add 1.json --key receipt.pub --key bob.pub --role receipt --threshold receipt=2")
    site("trust sign 1.json --key alice.key")
    site.install("site/trust.json")
    bundles.write(site.directory / "b", keys=(EXPORT,))
    trust = "--trust site/trust.json"
    importing = f"import b oci:target {trust} --adopt --receipt r.json --receipt-key"
    site(f"{importing} export.key", status=2)
    site(f"{importing} receipt.key")
    site("verify-receipt r.json --key receipt.pub")
    assert "expected 2" in site(f"verify-receipt r.json {trust}", status=4).stderr
    site(f"{importing} receipt.key --receipt-key bob.key")
    site(f"verify-receipt r.json {trust}")
    site(f"{importing} alice.key", status=4)
    with_key = "import b oci:target --key export.pub --reason test"
    site(f"{with_key} --receipt r.json --receipt-key alice.key")
    assert "but not by a trusted key" in site(f"verify-receipt r.json {trust}", status=4).stderr


def test_key_of_receipts_is_valid_at_the_time_of_the_import(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key export.pub --role bundle")
    site("trust add 1.json --key receipt.pub --role receipt --not-after 2020-01-01")
    site("trust sign 1.json --key alice.key")
    site.install("site/trust.json")
    bundles.write(site.directory / "b", keys=(EXPORT,))
    site("import b oci:target --key export.pub --receipt r.json --receipt-key receipt.key")
    result = site("verify-receipt r.json --trust site/trust.json", status=4)
    assert "had expired on" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("nope",), ("--quiet",)])
def test_missing_or_unknown_command_is_a_usage_error(
    run_airbundle: RunAirbundle, arguments: tuple[str, ...]
):
    result = run_airbundle("trust", *arguments)
    assert result.status == 2
    error, hint = result.stderr.splitlines()
    assert error.startswith("airbundle: error: ")
    assert hint == "hint: airbundle trust --help"


def test_import_that_verifies_first_applies_several_versions(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key export.pub --role bundle")
    site("trust sign 1.json --key alice.key")
    site.install("site/trust.json")
    site.install("outside/trust.json")
    for version in (2, 3):
        site(f"trust rotate {version}.json --trust outside/trust.json --expires 203{version}-01-01")
        site(f"trust sign {version}.json --key alice.key")
        site(f"trust update {version}.json --trust outside/trust.json")
    bundle = bundles.write(site.directory / "b", keys=(EXPORT,))
    (site.directory / "outside/trust").rename(bundle / "trust")
    site("import b oci:target --adopt --verify-first --trust site/trust.json")
    assert json.loads(site("trust show site/trust.json --json").stdout)["version"] == 3


def test_signing_with_a_key_that_sites_will_refuse_prints_a_warning(site: Site):
    site.set_up()
    site("trust init 1.json --fingerprint", site.read_fingerprint("1.json"))
    bundle = bundles.write(site.directory / "b", keys=(EXPORT,))
    image = f"oci:{bundle}:docker.io/library/nginx:1.27"
    for stream, key, warning in (
        ("plant-7", "export", None),
        ("plant-8", "export", "may not sign for stream plant-8"),
        ("plant-7", "alice", "does not have the role bundle"),
    ):
        (site.directory / "m.yaml").write_text(f"name: {stream}\nimages: ['{image}']\n")
        exported = site(f"export m.yaml {stream}-{key} --sign-key {key}.key").stderr
        signed = site(f"sign {stream}-{key} --key {key}.key").stderr
        for output in (exported, signed):
            assert ("warning: key" in output) == (warning is not None)
            assert warning is None or warning in output
        assert ("sites require signatures by 1" in exported) == (warning is not None)


def test_files_that_are_mixed_up_are_refused_with_the_next_step(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    (site.directory / "ssh.pub").write_text("ecdsa-sha2-nistp256 AAAA me\n")
    for line, problem, hint in (
        ("trust add 1.json --role trust --key alice.key", "a private key", ".pub file"),
        ("trust add 1.json --role trust --key ssh.pub", "not a public key", "ssh-keygen -e"),
        ("trust add 1.json --role trust --key 1.json", "not a public key", ".pub file"),
        ("trust sign 1.json --key alice.pub", "a public key", "named .key"),
        ("trust sign alice.pub --key alice.key", "not a trust file", "trust add"),
        ("trust show alice.pub", "it is a key", "trust add"),
        ("trust add 2.json --role bundle --key export.pub", "trust is missing", "role trust"),
        ("trust init 1.json --fingerprint 12", "64 hexadecimal", "trust show FILE"),
    ):
        refused = site(line, status=2).stderr
        assert problem in refused
        assert hint in refused.partition("hint: ")[2]


def test_signature_by_a_key_without_the_role_prints_a_warning_and_does_not_count(site: Site):
    site("trust add 1.json --key alice.pub --role trust")
    fingerprint = site.read_fingerprint("1.json")
    assert "role trust" in site("trust sign 1.json --key bob.key").stderr
    refused = site("trust init 1.json --fingerprint", fingerprint, status=4).stderr
    assert f"signatures by {BOB.public.id[:16]} do not count" in refused
    assert site("trust sign 1.json --key alice.key").stderr == ""
    site("trust init 1.json --fingerprint", fingerprint)
    # A key of the version before may sign the one that removes it.
    site("trust rotate 2.json")
    site("trust add 2.json --key bob.pub --role trust")
    site(f"trust rotate 2.json --remove {ALICE.public.id[:16]}")
    assert site("trust sign 2.json --key alice.key --key bob.key").stderr == ""
    draft = json.loads((site.directory / "2.json").read_bytes())
    (site.directory / "9.json").write_text(json.dumps(draft | {"version": 9}))
    assert "does not follow on version 1" in site("trust sign 9.json --key bob.key").stderr


def test_update_says_that_it_found_no_newer_version(site: Site):
    site.set_up()
    for source in ("1.json", "site"):
        result = site(f"trust update {source} --trust site/trust.json")
        assert "no version after 1" in result.stderr
    refused = site("trust update alice.pub --trust site/trust.json", status=2)
    assert "not a trust file" in refused.stderr
