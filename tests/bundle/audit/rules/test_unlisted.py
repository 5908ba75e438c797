"""The rule about files of a bundle that its inventory does not list."""

from __future__ import annotations

import json

import pytest

from tests.fakes import bundles, images

RULE = "nothing-unlisted: error"


def list_places(verdict):
    assert {finding.code for finding in verdict.findings} <= {"nothing-unlisted"}
    return [finding.place.path for finding in verdict.findings]


@pytest.fixture(params=["oci", "dir"])
def bundle(request, tmp_path):
    """A bundle of two images in each format."""
    return bundles.write(tmp_path / "bundle", form=request.param)


def test_complete_bundle_passes(audit, bundle):
    (bundle / ".Trash-0").mkdir()
    (bundle / "bundle.json.0123456789abcdef.sig").write_bytes(b"x")
    assert not audit(RULE, location=str(bundle)).findings


def test_surplus_files_are_found_even_if_the_checksum_file_lists_them(audit, bundle):
    (bundle / "README.txt").write_text("x")
    (bundle / "tools").mkdir()
    folder = next(path for path in (bundle / "blobs/sha256", bundle / "images") if path.exists())
    if folder.name == "images":
        folder = next(folder.iterdir())
    surplus = folder / ("ab" * 32)
    surplus.write_bytes(b"x")
    bundles.write_checksums(bundle)
    expected = sorted([str(surplus.relative_to(bundle)), "README.txt", "tools"])
    assert list_places(audit(RULE, location=str(bundle))) == expected


def test_names_in_the_index_are_compared(audit, tmp_path):
    named = bundles.sample()
    bundle = bundles.write(tmp_path / "bundle", named)
    index = json.loads((bundle / "index.json").read_text())
    entry = dict(index["manifests"][0])
    entry["annotations"] = {"org.opencontainers.image.ref.name": "docker.io/library/extra:1"}
    index["manifests"].append(entry)
    (bundle / "index.json").write_text(json.dumps(index))
    (place,) = list_places(audit(RULE, location=str(bundle)))
    assert "docker.io/library/extra:1" in place


def test_manifest_that_cannot_be_read_leaves_the_rule_unchecked(audit, tmp_path):
    image = images.image()
    bundle = bundles.write(tmp_path / "bundle", {"docker.io/library/app:1": image})
    (bundle / "blobs" / image.digest.replace(":", "/")).unlink()
    (finding,) = audit(RULE, location=str(bundle)).findings
    assert finding.code == "nothing-unlisted-unchecked"


def test_layout_has_no_inventory(audit, tmp_path):
    images.write_layout(tmp_path / "layout", {"app:1": images.image()})
    (finding,) = audit(RULE, location=f"oci:{tmp_path}/layout").findings
    assert finding.code == "nothing-unlisted-unchecked"
