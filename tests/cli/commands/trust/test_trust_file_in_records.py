"""The records of a site remember its trust file: nothing takes its place without a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema

from tests.cli.commands.records.test_schemas import load
from tests.cli.commands.trust.conftest import CAROL, EXPORT, Site
from tests.fakes import bundles

if TYPE_CHECKING:
    from typing import Any

IMPORT = "import b oci:target --trust site/trust.json --existing overwrite"


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
    site(f"{line} --reason test")
    entry = read_last_entry(site)
    assert (entry["overrides"], entry["reason"]) == (["--key"], "test")
    # A stream that was forgotten is not adopted as that of a new site.
    bundles.write(site.directory / "other", keys=(CAROL,), stream="plant-8")
    line = "import other oci:other --key carol.pub --reason test"
    assert "--adopt" in site(line, status=4).stderr
