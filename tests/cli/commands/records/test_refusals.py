"""Authenticated bundles that are refused leave an entry in the log of the site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.cli.commands.records.test_receipts import write_trust_file
from tests.cli.commands.records.test_records import KEY, Site
from tests.cli.commands.records.test_schemas import load
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import RunAirbundle


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Site:
    return Site(tmp_path, run_airbundle)


def _corrupt(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def _replace_by_link(path: Path) -> None:
    path.rename(path.parents[3] / "moved")
    path.symlink_to(path.parents[3] / "moved")


@pytest.mark.parametrize("damage", [_corrupt, _replace_by_link, Path.unlink])
@pytest.mark.parametrize("part", ["manifest", "layer"])
@pytest.mark.parametrize("options", [(), ("--verify-first",)], ids=["plain", "verify-first"])
def test_authenticated_bundle_that_is_damaged_is_in_the_log(
    site: Site, damage: Callable[[Path], object], part: str, options: tuple[str, ...]
):
    """The digest in ``bundle.json`` is signed, so the entry tells which bundle was changed."""
    site.write_bundle("bundle")
    blobs = site.path / "bundle/blobs/sha256"
    inventory = json.loads((site.path / "bundle/bundle.json").read_text())
    digest = inventory["images"][0]["digest"].removeprefix("sha256:")
    if part == "layer":
        digest = json.loads((blobs / digest).read_text())["layers"][0]["digest"][7:]
    damage(blobs / digest)
    assert site.import_("bundle", "--dry-run", *options).status in {0, 3}
    assert not site.records.exists()
    result = site.import_("bundle", *options)
    assert result.status == 3, result.stderr
    if damage is _replace_by_link:
        assert "not a regular file" in result.stderr
    (entry,) = site.read_log()
    jsonschema.validate(entry, load("log-entry"))
    assert (entry["event"], entry["refusal"]) == ("refused", "damaged")
    assert entry["signedBy"] == [KEY.public.id]


def test_damaged_bundle_that_is_not_authenticated_leaves_no_entry(site: Site):
    site.write_bundle("bundle", signed=False)
    for blob in (site.path / "bundle/blobs/sha256").iterdir():
        blob.unlink()
    options = ("--allow-unsigned", "--reason", "test")
    assert site.import_("bundle", *options).status == 3
    assert not (site.records / "log.jsonl").exists()


@pytest.mark.parametrize(
    "content",
    [b"[]", b'{"schemaVersion":2}', b"[" * 100_000, b'{"schemaVersion":2,"schemaVersion":2}'],
    ids=["list", "empty", "nested", "twice"],
)
def test_malformed_manifest_with_the_signed_digest_is_in_the_log(site: Site, content: bytes):
    """A signer is not trusted to be competent."""
    manifest = images.Blob(images.OCI["manifest"], content)
    hostile = images.Image(manifest, platform="linux/amd64")
    bundles.write(site.path / "bundle", {bundles.REFERENCES[0]: hostile}, keys=(KEY,))
    result = site.import_("bundle")
    assert result.status in {3, 8}, result.stderr
    (entry,) = site.read_log()
    jsonschema.validate(entry, load("log-entry"))
    assert (entry["event"], entry["refusal"]) == ("refused", "malformed")
    assert not (site.path / "inside").exists()


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_damaged_target_does_not_make_the_bundle_damaged(site: Site, name: str):
    site.write_bundle("bundle")
    assert site.import_("bundle").status == 0
    (site.path / "inside" / name).write_text("{")
    assert site.import_("bundle").status == 3
    assert [entry["event"] for entry in site.read_log()] == ["import"]


def test_refusal_of_unknown_stream_on_new_site_is_in_the_log(site: Site):
    """At a site with a trust file, no bundle is adopted without ``--adopt``, also not the first."""
    site.write_bundle("bundle")
    write_trust_file(site)
    command = ("import", "bundle", "oci:inside", "--trust", "trust.json")
    assert site.run(*command, "--dry-run").status == 4
    assert not site.records.exists()
    result = site.run(*command)
    assert (result.status, "not known at this site" in result.stderr) == (4, True)
    (entry,) = site.read_log()
    jsonschema.validate(entry, load("log-entry"))
    assert (entry["event"], entry["refusal"]) == ("refused", "unknown-stream")
    assert site.run(*command, "--adopt").status == 0
    assert [entry["event"] for entry in site.read_log()] == ["refused", "import"]
