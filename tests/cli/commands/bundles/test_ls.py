"""``airbundle ls``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


def test_ls_lists_images_and_warns_of_expired_and_unsigned_bundle(
    tmp_path: Path, run_airbundle: RunAirbundle
):
    bundles.write(tmp_path / "b", expires="2020-01-01T00:00:00Z")
    result = run_airbundle("ls", "b")
    assert result.status == 0, result.stderr
    header, *rows = result.stdout.splitlines()
    assert header.split()[:3] == ["IMAGE", "DIGEST", "PLATFORMS"]
    assert [row.split()[0] for row in rows] == list(bundles.REFERENCES)
    assert "linux/amd64 linux/arm64" in rows[1]
    assert "expired 2020-01-01" in result.stderr
    assert "not signed" in result.stderr


def test_quiet_ls_prints_only_list(tmp_path: Path, run_airbundle: RunAirbundle):
    bundles.write(tmp_path / "b")
    result = run_airbundle("ls", "b", "--quiet")
    assert result.stdout
    assert result.stderr == ""


def test_ls_shows_digest_that_stripped_index_replaces(tmp_path: Path, run_airbundle: RunAirbundle):
    bundles.write(tmp_path / "b")
    assert "REPLACES" not in run_airbundle("ls", "b").stdout
    inventory = json.loads((tmp_path / "b/bundle.json").read_text())
    inventory["images"][1] |= {"index": "strip", "replaces": "sha256:" + "0" * 64}
    (tmp_path / "b/bundle.json").write_text(json.dumps(inventory))
    header, _, row = run_airbundle("ls", "b").stdout.splitlines()
    assert "REPLACES" in header
    assert "sha256:000000000000" in row


def test_ls_json_reports_sizes_of_blobs_in_bytes(tmp_path: Path, run_airbundle: RunAirbundle):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    value = json.loads(run_airbundle("ls", "b", "--json").stdout)
    assert value["stream"] == "plant-7"
    for listed, image in zip(value["images"], named.values(), strict=True):
        assert listed["digest"] == image.digest
        assert listed["size"] == sum(len(blob.data) for blob in image.all_blobs())
        assert listed["unique"] + listed["shared"] == listed["size"]


def test_ls_of_directory_without_bundle_has_status_9(tmp_path: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("ls", tmp_path)
    assert result.status == 9
    assert "bundle.json" in result.stderr


def test_ls_shows_what_the_export_verified_and_how_many_signatures_and_referrers_exist(
    tmp_path: Path, run_airbundle: RunAirbundle
):
    """The listing shows these members of the inventory, and does not verify them."""
    bundles.write(tmp_path / "b")
    plain = run_airbundle("ls", "b")
    assert "VERIFIED" not in plain.stdout
    assert "SIGNATURES" not in plain.stdout
    value = json.loads((tmp_path / "b/bundle.json").read_text())
    image = value["images"][1]
    verified = [
        {"manifest": image["digest"], "key": "ab" * 32},
        {"manifest": "sha256:" + "1" * 64, "key": "ab" * 32},
        {"manifest": image["digest"], "issuer": "https://issuer", "identity": "ci@corp"},
        {"manifest": image["digest"], "policy": "sha256:" + "2" * 64},
    ]
    signature = {"manifest": image["digest"], "number": 1, "size": 3, "digest": image["digest"]}
    image |= {"verified": verified, "signatures": [signature]}
    value["_type"] = "airbundle/bundle/v2"
    bundles.seal(tmp_path / "b", value)

    listing = json.loads(run_airbundle("ls", "b", "--json").stdout)
    assert (listing["referrers"], listing["signatureFiles"]) == (0, 1)
    first, second = listing["images"]
    assert (first["verified"], first["signatures"]) == ([], [])
    assert (second["verified"], second["signatures"]) == (verified, [signature])
    header, _, row = run_airbundle("ls", "b").stdout.splitlines()
    assert header.split()[-2:] == ["SIGNATURES", "VERIFIED"]
    assert row.endswith("  1  abababababababab, ci@corp, policy 222222222222")
