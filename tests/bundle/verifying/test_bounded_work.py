"""The verification of a hostile bundle takes limited time and memory."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.importing import import_bundle
from bundler.bundle.importing.target import parse_target
from bundler.bundle.verifying import stored_graphs
from bundler.bundle.verifying.verify import verify
from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.errors import LimitError
from bundler.ports import OpenOptions
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests import peak_memory
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

KEY = keys.generate_key()
TERABYTE = 1 << 40


@pytest.fixture
def quick():
    """Fail a test that takes much longer than the verification of a valid bundle."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 20


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("form", ["oci", "dir"])
def test_huge_files_are_found_without_being_read(tmp_path: Path, form: str):
    """A sparse file occupies no space on the medium."""
    bundle = bundles.write(tmp_path / "b", form=form, keys=(KEY,))
    for path in sorted(bundles.find_files(bundle)):
        data = path.read_bytes()
        os.truncate(path, TERABYTE)
        result = verify(bundle, TrustedKeys.create([KEY.public]))
        found = {item.path for item in result.findings}
        assert str(path.relative_to(bundle)) in found or result.trust_error
        path.write_bytes(data)
    verify(bundle, TrustedKeys.create([KEY.public])).check()


@pytest.mark.usefixtures("quick")
def test_index_that_is_listed_often_is_walked_once(tmp_path: Path):
    """Six nested indexes that list each other 100 times are read as six indexes."""
    below = images.image()
    for _ in range(6):
        entries = [below.root.descriptor()] * 100
        body = {"schemaVersion": 2, "mediaType": images.OCI["index"], "manifests": entries}
        below = images.Image(images.Blob(images.OCI["index"], images.dump(body)), children=(below,))
    bundle = bundles.write(tmp_path / "b", {bundles.REFERENCES[0]: below}, keys=(KEY,))

    result = verify(bundle, TrustedKeys.create([KEY.public]))

    assert result.whole
    _, inventory = read_inventory(DirectoryFiles(bundle))
    graphs = stored_graphs.read_graphs(DirectoryFiles(bundle), inventory.format, inventory.images)
    (((_, (graph,)),)) = graphs.images
    assert len(graph) == 6 + 3


@pytest.mark.usefixtures("quick")
def test_large_image_with_many_names_exceeds_the_limit(tmp_path: Path):
    """Ten thousand names of an image with ten thousand layers exceed the limit."""
    config = images.Blob(images.OCI["config"], b"{}")
    layer = {"mediaType": images.OCI["tar"], "size": 1}
    body = {
        "schemaVersion": 2,
        "mediaType": images.OCI["manifest"],
        "config": config.descriptor(),
        "layers": [layer | {"digest": f"sha256:{at:064x}"} for at in range(10_000)],
    }
    large = images.Image(images.Blob(images.OCI["manifest"], images.dump(body)), (config,))
    bundle = bundles.write(tmp_path / "b", {bundles.REFERENCES[0]: large})
    value = json.loads((bundle / "bundle.json").read_bytes())
    (image,) = value["images"]
    value["images"] = [image | {"reference": f"docker.io/library/a:{at}"} for at in range(10_000)]
    bundles.seal(bundle, value, (KEY,))

    with pytest.raises(LimitError):
        verify(bundle, TrustedKeys.create([KEY.public]))


def test_image_with_many_names_is_kept_once_in_memory(tmp_path: Path):
    """Two hundred names of a manifest of 3 MiB do not need 600 MiB."""
    blobs = images.image().blobs
    config, layer = blobs
    body = {
        "schemaVersion": 2,
        "mediaType": images.OCI["manifest"],
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
        "annotations": {"large": "x" * (3 << 20)},
    }
    large = images.Image(images.Blob(images.OCI["manifest"], images.dump(body)), blobs)
    bundle = bundles.write(tmp_path / "b", {bundles.REFERENCES[0]: large})
    value = json.loads((bundle / "bundle.json").read_bytes())
    (image,) = value["images"]
    value["images"] = [image | {"reference": f"docker.io/library/a:{at}"} for at in range(200)]
    bundles.seal(bundle, value, (KEY,))
    options = OpenOptions(
        lambda: Settings.load(
            {}, tmp_path, 1000, ConfigPathOverrides(etc=tmp_path, usr_share=tmp_path)
        )
    )
    target = parse_target(f"oci:{tmp_path / 'in'}")
    request = import_bundle.ImportRequest(bundle, target, options, TrustedKeys((KEY.public,)))

    tracemalloc.start()
    try:
        with ThreadPoolExecutor(4) as executor:
            report = import_bundle.import_bundle(request, EngineOptions(executor))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(report.images) == 200
    assert most < 60 << 20


def test_missing_files_are_named_up_to_a_limit(tmp_path: Path, monkeypatch):
    bundle = bundles.write(tmp_path / "b")
    (bundle / "SHA256SUMS").write_text("".join(f"{'0' * 64}  a{n}\n" for n in range(30)))
    (bundle / "bundle.json").unlink()
    monkeypatch.setattr("bundler.bundle.verifying.verify._MAX_MISSING", 10)

    findings = {item.path: item.text for item in verify(bundle, TrustedKeys.create([])).findings}

    assert sum(path.startswith("a") for path in findings) == 10
    assert findings["SHA256SUMS"] == "lists 20 more missing files"


VERIFY = """
import sys
from pathlib import Path

from bundler.bundle.verifying.verify import verify
from bundler.trust.bundle_trust import NO_KEYS

verify(Path(sys.argv[1]), NO_KEYS)
"""


@pytest.mark.parametrize("count", [220_000, 850_000])
def test_long_list_of_missing_files_takes_little_memory(tmp_path: Path, count: int):
    """A checksum file below and above the limit of its size."""
    bundle = bundles.write(tmp_path / "b")
    with (bundle / "SHA256SUMS").open("w") as file:
        file.writelines(f"{'0' * 64}  a{number:07}\n" for number in range(count))
    (bundle / "bundle.json").unlink()
    assert peak_memory.measure(VERIFY, bundle) < 150 * peak_memory.MIB


def test_errors_of_manifests_keep_none_of_their_content(tmp_path: Path):
    """Each manifest has 450,000 tokens, which take 10 MiB when parsed, and lacks its config."""
    body = {"schemaVersion": 2, "layers": [], "x": [[]] * 150_000}
    malformed = [
        images.Image(images.Blob(images.OCI["manifest"], images.dump(body | {"n": number})), ())
        for number in range(14)
    ]
    named = {f"docker.io/library/a:{number}": image for number, image in enumerate(malformed)}
    bundle = bundles.write(tmp_path / "b", named)
    assert peak_memory.measure(VERIFY, bundle) < 150 * peak_memory.MIB
