from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.listings.list_contents import list_bundle
from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.errors import DamagedBundleError, NotFoundError
from bundler.trust import keys
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

NGINX, APP = bundles.REFERENCES


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_sizes_count_each_blob_once(tmp_path: Path, form: str):
    named = bundles.sample()
    listing = list_bundle(DirectoryFiles(bundles.write(tmp_path / "b", named, form=form)))
    contents = {
        name: {blob.digest: blob.data for blob in image.all_blobs()}
        for name, image in named.items()
    }
    everything = contents[NGINX] | contents[APP]
    common = contents[NGINX].keys() & contents[APP].keys()
    assert common
    assert listing.total.size == sum(map(len, everything.values()))
    assert listing.total.blobs == len(everything)
    for image, sizes in listing.images:
        own = contents[str(image.reference)]
        assert sizes.size == sum(map(len, own.values()))
        assert sizes.shared == sum(len(own[digest]) for digest in common)
        assert sizes.blobs == len(own)


def test_listing_contains_key_ids_of_signatures(tmp_path: Path):
    key = keys.generate_key()
    listing = list_bundle(DirectoryFiles(bundles.write(tmp_path / "b", keys=(key,))))
    assert listing.signatures == (key.public.id[:16],)
    assert listing.to_json()["images"][1]["platforms"] == ["linux/amd64", "linux/arm64"]


def test_bundle_with_missing_manifest_cannot_be_listed(tmp_path: Path):
    named = bundles.sample()
    bundle = bundles.write(tmp_path / "b", named)
    path = f"blobs/sha256/{named[NGINX].digest.removeprefix('sha256:')}"
    (bundle / path).unlink()
    with pytest.raises(DamagedBundleError) as raised:
        list_bundle(DirectoryFiles(bundle))
    (finding,) = raised.value.findings
    assert path in finding


def test_inventory_that_has_been_authenticated_is_not_read_again(tmp_path: Path):
    """The medium may return other bytes the second time."""
    bundle = bundles.write(tmp_path / "b")
    _, authenticated = read_inventory(DirectoryFiles(bundle))
    value = json.loads((bundle / "bundle.json").read_bytes())
    (bundle / "bundle.json").write_text(json.dumps(value | {"stream": "other"}))
    listing = list_bundle(DirectoryFiles(bundle), authenticated)
    assert listing.inventory is authenticated
    assert listing.to_json()["stream"] == authenticated.stream != "other"


def test_directory_without_bundle_cannot_be_listed(tmp_path: Path):
    for directory in (tmp_path, tmp_path / "absent"):
        with pytest.raises(NotFoundError):
            list_bundle(DirectoryFiles(directory))
