"""``airbundle ls``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NGINX, APP = bundles.REFERENCES


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


def _list(run: RunAirbundle, *arguments: str) -> dict[str, Any]:
    result = run("ls", *arguments, "--json")
    assert result.status == 0, result.stderr
    return json.loads(result.stdout)


def test_long_list_has_a_row_for_each_platform(tmp_path: Path, run_airbundle: RunAirbundle):
    named = bundles.sample()
    named[NGINX] = images.image(config={"created": "2025-11-01T00:00:00.123456789Z"})
    bundles.write(tmp_path / "b", named)
    nginx, app = _list(run_airbundle, "b", "-l")["images"]
    assert [item["created"] for item in nginx["details"]] == ["2025-11-01T00:00:00Z"]
    assert [(item["platform"], item["digest"]) for item in app["details"]] == [
        (child.platform, child.digest) for child in named[APP].children
    ]
    for item, child in zip(app["details"], named[APP].children, strict=True):
        assert item["size"] == sum(len(blob.data) for blob in child.all_blobs())
        assert item["shared"] == len(child.blobs[1].data)
    rows = run_airbundle("ls", "b", "-l").stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == [
        *(NGINX, "linux/amd64"),
        *(APP, "linux/amd64", "linux/arm64"),
    ]


@pytest.mark.parametrize("created", ["", "yesterday", "9999-99-99", "9999-12-31T23:59:59-23:00"])
def test_malformed_time_is_no_time(tmp_path: Path, run_airbundle: RunAirbundle, created: str):
    bundles.write(tmp_path / "b", {NGINX: images.image(config={"created": created})})
    (image,) = _list(run_airbundle, "b", "-l")["images"]
    assert [item["created"] for item in image["details"]] == [None]


def test_images_are_selected(tmp_path: Path, run_airbundle: RunAirbundle):
    bundles.write(tmp_path / "b")
    for arguments, names in (
        (("--match", "nginx"), [NGINX]),
        (("--match", "app", "--match", "^docker"), [NGINX, APP]),
        (("--match", "absent"), []),
        (("--platform", "linux/arm64"), [APP]),
        (("--platform", "linux/amd64"), [NGINX, APP]),
    ):
        found = _list(run_airbundle, "b", *arguments)["images"]
        assert [image["reference"] for image in found] == names
    (image,) = _list(run_airbundle, "b", "-l", "--platform", "linux/arm64")["images"]
    assert [item["platform"] for item in image["details"]] == ["linux/arm64"]
    assert run_airbundle("ls", "b", "--match", "(").status == 2


def test_images_are_sorted(tmp_path: Path, run_airbundle: RunAirbundle):
    large = images.layer({"large": bytes(range(256)) * 40})
    named = {
        f"docker.io/library/{name}:1": images.image(*layers, config={"created": created})
        for name, layers, created in (
            ("b", (), "2025-01-01T00:00:00Z"),
            ("c", (large,), "2024-01-01T00:00:00Z"),
            ("a", (), "2026-01-01T00:00:00Z"),
        )
    }
    bundles.write(tmp_path / "b", named)
    for key, order in (("name", "abc"), ("size", "cba"), ("unique", "cba"), ("created", "abc")):
        found = _list(run_airbundle, "b", "--sort", key)["images"]
        assert "".join(image["reference"][18] for image in found)[0] == order[0], key


def test_images_of_a_layout_are_listed(tmp_path: Path, run_airbundle: RunAirbundle):
    shared = images.layer({"shared": b"shared"})
    signed = images.image(shared)
    named = {
        "app:1": signed,
        "app:2": images.multi_platform("app", "linux/amd64", "linux/arm64", shared=shared),
        "sig": images.artifact("application/x-signature", b"signed", subject=signed),
    }
    images.write_layout(tmp_path / "layout", named)
    value = _list(run_airbundle, "oci:layout", "--match", ":app")
    assert value["location"] == "oci:layout"
    assert [image["reference"] for image in value["images"]] == [
        "oci:layout:app:1",
        "oci:layout:app:2",
    ]
    first, second = value["images"]
    assert (first["referrers"], first["digest"]) == (1, signed.digest)
    assert second["shared"] == len(shared.blob.data)
    assert run_airbundle("ls", "oci:layout", "-l").status == 0
