"""A renewal names the signatures by others that it removes: they are of the former inventory."""

from __future__ import annotations

import json

from tests.cli.commands.trust.conftest import BOB, CAROL, EXPORT, Site
from tests.fakes import bundles

EXPORT_LINE = "export m.yaml stick --sign-key export.key --trust site/trust.json"


def write_manifest(site: Site, *references: str) -> None:
    images = [f"oci:{site.directory / 'source'}:{name}" for name in references]
    (site.directory / "m.yaml").write_text(f"name: plant-7\nimages: {json.dumps(images)}\n")


def set_up(site: Site) -> None:
    """A trust file that requires two signatures, and a bundle that has them."""
    site("trust add 1.json --key alice.pub --role trust")
    site("trust add 1.json --key export.pub --role bundle")
    site("trust add 1.json --key bob.pub --role bundle --threshold bundle=2 --comment Bob")
    site("trust sign 1.json --key alice.key")
    site.install("site/trust.json")
    bundles.write(site.directory / "source")
    write_manifest(site, bundles.REFERENCES[0])
    assert "this bundle has 1" in site(EXPORT_LINE).stderr
    site("sign stick --key bob.key")


def test_renewal_names_the_signatures_that_it_removes(site: Site):
    set_up(site)
    write_manifest(site, *bundles.REFERENCES)
    result = site(EXPORT_LINE)
    assert f"no longer signed by {BOB.public.id[:16]} (Bob)" in result.stderr
    assert EXPORT.public.id[:16] not in result.stderr
    assert "sites require signatures by 2 keys (this bundle has 1)" in result.stderr
    site("sign stick --key bob.key")
    write_manifest(site, bundles.REFERENCES[1])
    report = json.loads(site(f"{EXPORT_LINE} --json").stdout)
    assert report["removedSignatures"] == [f"bundle.json.{BOB.public.id[:16]}.sig"]


def test_holder_whose_key_the_trust_file_does_not_contain_is_not_asked_to_sign(site: Site):
    set_up(site)
    site("sign stick --key carol.key")
    write_manifest(site, *bundles.REFERENCES)
    lines = site(EXPORT_LINE).stderr.splitlines()
    (line,) = [line for line in lines if f"no longer signed by {CAROL.public.id[:16]}:" in line]
    assert "the trust file does not contain this key" in line


def test_unchanged_bundle_with_enough_signatures_needs_no_more(site: Site):
    set_up(site)
    result = site(EXPORT_LINE)
    assert "unchanged" in result.stdout
    assert "require" not in result.stderr
    assert "no longer" not in result.stderr
    assert json.loads(site(f"{EXPORT_LINE} --json").stdout)["removedSignatures"] == []


def test_renewal_without_a_trust_file_names_the_key_ids(site: Site):
    set_up(site)
    write_manifest(site, *bundles.REFERENCES)
    result = site("export m.yaml stick --sign-key export.key")
    assert f"no longer signed by {BOB.public.id[:16]}:" in result.stderr
