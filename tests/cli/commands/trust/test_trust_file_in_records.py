"""The records of a site remember its trust file: nothing takes its place without a reason."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.cli.commands.records.test_schemas import load
from tests.cli.commands.trust.conftest import CAROL, EXPORT, Site
from tests.fakes import bundles

if TYPE_CHECKING:
    from typing import Any

IMPORT = "import b oci:target --trust site/trust.json --existing overwrite"

OTHER = {
    1: " --key carol.pub --role trust --role bundle",
    2: " --trust other/trust.json",
}
"""The options that create the versions of the trust file of another side."""


def read_state(site: Site) -> dict[str, Any]:
    (path,) = site.directory.rglob("state.json")
    return json.loads(path.read_bytes())


def read_last_entry(site: Site) -> dict[str, Any]:
    entry = json.loads(site("log show --json").stdout)["entries"][-1]
    jsonschema.validate(entry, load("log-entry"))
    return entry


def import_by_trust_file(site: Site) -> None:
    """Import a bundle by the trust file ``site/trust.json``; nothing is installed for the user."""
    site.set_up()
    bundles.write(site.directory / "b", keys=(EXPORT,))
    site(f"{IMPORT} --adopt")


def test_import_with_keys_overrides_a_trust_file_that_is_no_longer_installed(site: Site):
    import_by_trust_file(site)
    bundles.write(site.directory / "foreign", keys=(CAROL,), serial=1795417300)
    site("verify foreign --offline --key carol.pub")
    line = "import foreign oci:target --existing overwrite --key carol.pub"
    assert "--key: overrides the trust file" in site(line, status=2).stderr
    assert "--key: overrides the trust file" in site(f"{line} --dry-run", status=2).stderr
    before = read_state(site)["streams"]
    result = site(f"{line} --reason test")
    assert result.stderr.count("warning: --key: the keys given are trusted, and not the") == 1
    entry = read_last_entry(site)
    assert (entry["overrides"], entry["reason"]) == (["--key"], "test")
    # Its serial is higher, and the bundles of the site's own signers are still imported.
    assert entry["stateUnchanged"]
    assert read_state(site)["streams"] == before
    site("log verify")
    site(IMPORT)
    # A stream that was forgotten is not adopted as that of a new site.
    bundles.write(site.directory / "other", keys=(CAROL,), stream="plant-8")
    line = "import other oci:other --key carol.pub --reason test"
    assert "--adopt" in site(line, status=4).stderr


@pytest.mark.parametrize("source", ["update", "refused import"])
def test_newer_version_is_remembered_without_an_import(site: Site, source: str):
    """A version that removed a key cannot be taken back by copying the former file."""
    import_by_trust_file(site)
    path = site.directory / "site/trust.json"
    former = path.read_bytes()
    site("trust rotate 2.json --trust site/trust.json")
    site("trust add 2.json --key receipt.pub --role bundle")
    site(f"trust rotate 2.json --trust site/trust.json --remove {EXPORT.public.id[:16]}")
    site("trust sign 2.json --key alice.key --key bob.key")
    if source == "update":
        site("trust update 2.json --trust site/trust.json")
    else:
        carried = site.directory / "b/trust"
        carried.mkdir()
        for file in site.directory.glob("[12].json*"):
            (carried / file.name.replace(".json", ".trust.json", 1)).write_bytes(file.read_bytes())
        site(IMPORT, status=4)
        shutil.rmtree(carried)
    entry = read_last_entry(site)
    assert (entry["event"], entry["trustFile"]["version"]) == ("trust-update", 2)
    assert entry["operator"]["user"]
    assert "version 2" in site("log show").stdout
    site("log verify")
    path.write_bytes(former)
    assert "older than the one used before" in site(IMPORT, status=4).stderr
    jsonschema.validate(read_state(site), load("stream-state"))


def test_update_of_another_trust_file_is_not_recorded(site: Site):
    import_by_trust_file(site)
    for version in (1, 2):
        site(f"trust {'add' if version == 1 else 'rotate'} other{version}.json" + OTHER[version])
        site(f"trust sign other{version}.json --key carol.key")
        if version == 1:
            line = "trust init other1.json --trust other/trust.json --fingerprint"
            site(line, site.read_fingerprint("other1.json"))
    site("trust update other2.json --trust other/trust.json")
    assert read_last_entry(site)["event"] == "import"
    site(IMPORT)


def test_restored_records_know_the_trust_file(site: Site):
    import_by_trust_file(site)
    expected = read_state(site)["trustFile"]
    (records,) = site.directory.rglob("state.json")
    (records.parent / "log.jsonl").unlink()
    site(IMPORT, status=4)
    site("stream restore --reason test")
    assert read_state(site)["trustFile"] == expected == read_last_entry(site)["trustFile"]


@pytest.mark.parametrize("version", [1, 2])
def test_foreign_trust_file_does_not_take_the_place_of_the_recorded_one(site: Site, version: int):
    """Its own keys have signed it, but those of the recorded one have not."""
    import_by_trust_file(site)
    shutil.rmtree(site.directory / "site")
    foreign = site.directory / "foreign.json"
    site(f"trust add {foreign.name}" + OTHER[1])
    foreign.write_text(foreign.read_text().replace('"version":1', f'"version":{version}'))
    site("trust sign foreign.json --key carol.key")
    digits = site.read_fingerprint("foreign.json")
    init = "trust init foreign.json --trust site/trust.json --fingerprint"
    site(init, digits)
    bundles.write(site.directory / "next", keys=(CAROL,), serial=1795417300)
    line = IMPORT.replace("import b", "import next")
    refused = site(line, status=4).stderr
    assert "another trust file than the one used before" in refused
    assert "--replace" in refused
    assert read_last_entry(site)["refusal"] == "trust-file"
    site(init, digits, "--replace", "--reason", "test")
    site(line)


def test_versions_that_lead_from_the_recorded_one_are_accepted(site: Site):
    """Without an entry for the update, the stored versions and their signatures prove it."""
    import_by_trust_file(site)
    for version in (2, 3):
        site(f"trust rotate {version}.json --trust site/trust.json")
        site(f"trust sign {version}.json --key alice.key --key bob.key")
        site(f"trust update {version}.json --trust site/trust.json --records elsewhere")
    site(IMPORT)
    assert read_state(site)["trustFile"]["version"] == 3


def test_no_option_accepts_a_trust_file_that_too_few_keys_signed(site: Site):
    import_by_trust_file(site)
    site("trust rotate 2.json --trust site/trust.json")
    site("trust sign 2.json --key alice.key")
    carried = site.directory / "b/trust"
    carried.mkdir()
    for file in site.directory.glob("[12].json*"):
        (carried / file.name.replace(".json", ".trust.json", 1)).write_bytes(file.read_bytes())
    for line in (IMPORT, f"{IMPORT} --allow-unsigned --reason test"):
        result = site(line, status=4)
        assert "trust file, version 2: signed by 1 key of version 1" in result.stderr
    assert read_state(site)["trustFile"]["version"] == 1
