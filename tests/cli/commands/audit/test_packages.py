"""``airbundle packages``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

APK = "lib/apk/db/installed"
ONE = tars.layer(tars.member(APK, b"P:one\nV:1.0-r0\nL:MIT\n"))


def test_packages_of_one_image_are_listed(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "b", {bundles.REFERENCES[0]: images.image(ONE)})
    result = run_airbundle("packages", "b", "nginx:1.27")
    assert result.status == 0
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["TYPE", "NAME", "VERSION", "LICENCES", "PATH"],
        ["apk", "one", "1.0-r0", "MIT", APK],
    ]


def test_packages_of_all_images_and_platforms_are_json(run_airbundle: RunAirbundle, tmp_path: Path):
    other = images.image(ONE, platform="linux/arm64")
    images.write_layout(
        tmp_path / "layout", {"a": images.index(images.image(ONE), other), "b": images.image()}
    )
    listed = json.loads(run_airbundle("packages", "oci:layout", "--json").stdout)["images"]
    assert [(item["platform"], len(item["packages"])) for item in listed] == [
        ("linux/amd64", 1),
        ("linux/arm64", 1),
        ("linux/amd64", 0),
    ]
    package = listed[0]["packages"][0]
    assert package["purl"] == "pkg:apk/alpine/one@1.0-r0"
    assert package["layer"] == ONE.blob.digest


def test_licenses_are_counted(run_airbundle: RunAirbundle, tmp_path: Path):
    database = b"P:a\nV:1\nL:ISC\n\nP:b\nV:1\n\nP:c\nV:1\nL:MIT\n\nP:d\nV:1\nL:MIT\n"
    layer = tars.layer(tars.member(APK, database))
    images.write_layout(tmp_path / "layout", {"a": images.image(layer)})
    result = run_airbundle("packages", "oci:layout", "--licenses")
    assert [line.split() for line in result.stdout.splitlines()[2:]] == [
        ["2", "MIT"],
        ["1", "not", "stated"],
        ["1", "ISC"],
    ]


def test_claims_are_compared_with_what_was_found(run_airbundle: RunAirbundle, tmp_path: Path):
    image = images.image(ONE)
    claimed = ["pkg:apk/alpine/one@1.0-r0?arch=x86_64", "pkg:apk/alpine/hidden@2"]
    sbom = {"bomFormat": "CycloneDX", "components": [{"purl": purl} for purl in claimed]}
    documents = [json.dumps(sbom).encode(), b"garbage"]
    kind = "application/vnd.cyclonedx+json"
    artifacts = [images.artifact(kind, item, media_type=kind, subject=image) for item in documents]
    named = {"a": image} | {f"referrer{number}": item for number, item in enumerate(artifacts)}
    images.write_layout(tmp_path / "layout", named)
    result = run_airbundle("packages", "oci:layout:a", "--claims", "--json")
    (listed,) = json.loads(result.stdout)["images"]
    claims = {claim.get("type"): claim for claim in listed["claims"]}
    assert claims["cyclonedx"]["notFound"] == ["pkg:apk/alpine/hidden@2"]
    assert claims["cyclonedx"]["notClaimed"] == []
    assert "problem" in claims[None]
    shown = run_airbundle("packages", "oci:layout:a", "--claims")
    assert (result.status, shown.status) == (0, 0)
    assert "pkg:apk/alpine/hidden@2" in shown.stdout


def test_attestation_in_an_index_is_a_claim(run_airbundle: RunAirbundle, tmp_path: Path):
    image = images.image(ONE)
    statement = {
        "predicateType": "https://spdx.dev/Document",
        "subject": [{"digest": {"sha256": "ab" * 32}}],
        "predicate": {"spdxVersion": "SPDX-2.3", "packages": []},
    }
    kind = "application/vnd.in-toto+json"
    attestation = images.artifact(kind, json.dumps(statement).encode(), media_type=kind)
    entries = [
        image.root.descriptor(platform={"os": "linux", "architecture": "amd64"}),
        attestation.root.descriptor(
            platform={"os": "unknown", "architecture": "unknown"},
            annotations={"vnd.docker.reference.digest": image.digest},
        ),
    ]
    body = {"schemaVersion": 2, "mediaType": images.OCI["index"], "manifests": entries}
    index = images.Blob(images.OCI["index"], images.dump(body))
    named = {"a": images.Image(index, children=(image, attestation))}
    images.write_layout(tmp_path / "layout", named)
    result = run_airbundle("packages", "oci:layout", "--claims", "--json")
    (claim,) = json.loads(result.stdout)["images"][0]["claims"]
    assert (claim["type"], claim["isAboutImage"]) == ("spdx", False)
    assert claim["notClaimed"] == ["pkg:apk/alpine/one@1.0-r0"]


def test_platform_is_selected(run_airbundle: RunAirbundle, tmp_path: Path):
    images.write_layout(tmp_path / "layout", {"a": images.image(ONE)})
    arguments = ("packages", "oci:layout", "--json", "--platform")
    assert run_airbundle(*arguments, "linux/amd64").status == 0
    assert run_airbundle(*arguments, "linux/arm64").status == 9


def test_file_that_cannot_be_read_is_reported_after_the_list(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    layer = tars.layer(tars.member(APK, b"garbage"))
    images.write_layout(tmp_path / "layout", {"a": images.image(ONE, layer)})
    result = run_airbundle("packages", "oci:layout", "--json")
    (listed,) = json.loads(result.stdout)["images"]
    assert [item["code"] for item in listed["findings"]] == ["package-file-malformed"]
    assert result.status == 12
    assert APK in result.stderr


def test_damaged_layer_is_an_error(run_airbundle: RunAirbundle, tmp_path: Path):
    layout = images.write_layout(tmp_path / "layout", {"a": images.image(ONE)})
    blob = layout / "blobs" / ONE.blob.digest.replace(":", "/")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    result = run_airbundle("packages", "oci:layout")
    assert (result.status, result.stdout) == (3, "")
