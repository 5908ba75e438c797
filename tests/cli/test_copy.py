"""``airbundle copy`` from one place of this machine to another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

INDEX = images.multi_platform("app", "linux/amd64", "linux/arm64", "linux/arm/v7")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    sbom = images.artifact("application/spdx+json", b"{}", subject=INDEX)
    return images.write_layout(tmp_path / "in", {"app": INDEX, "sbom": sbom})


def roots(layout: Path) -> dict[str, str]:
    """The digest of each name."""
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    return {
        entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"]
        for entry in entries
    }


def content(layout: Path) -> dict[str, bytes]:
    return {f"sha256:{path.name}": path.read_bytes() for path in layout.glob("blobs/sha256/*")}


def test_everything_arrives_unchanged(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    outcome = run_airbundle("copy", f"oci:{layout}:app", "oci:out:new")
    assert (outcome.status, outcome.stdout) == (0, f"oci:out:new {INDEX.digest}\n")
    assert roots(tmp_path / "out") == {"new": INDEX.digest}
    assert content(tmp_path / "out") == INDEX.contents()


def test_one_platform_is_its_own_manifest(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    arm = INDEX.children[1]
    outcome = run_airbundle("copy", "--platform=linux/arm64", f"oci:{layout}:app", "oci:out:arm")
    assert outcome.status == 0
    assert roots(tmp_path / "out") == {"arm": arm.digest}
    assert content(tmp_path / "out") == arm.contents()


def test_several_platforms_are_a_smaller_index(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    wanted = ["--platform=linux/amd64", "--platform=linux/arm/v7"]
    outcome = run_airbundle("copy", "--json", *wanted, f"oci:{layout}:app", "oci:out:two")
    report = json.loads(outcome.stdout)
    assert report["replaces"] == INDEX.digest
    assert report["platforms"] == ["linux/amd64", "linux/arm/v7"]
    smaller = json.loads(content(tmp_path / "out")[report["digest"]])
    assert [entry["digest"] for entry in smaller["manifests"]] == [
        INDEX.children[0].digest,
        INDEX.children[2].digest,
    ]


def test_what_refers_to_it_comes_along_if_asked(run_airbundle: RunAirbundle, layout: Path) -> None:
    alone = run_airbundle("copy", "--json", f"oci:{layout}:app", "oci:alone:app")
    company = run_airbundle("copy", "--json", "--referrers", f"oci:{layout}:app", "oci:both:app")
    assert json.loads(alone.stdout)["referrers"] == []
    assert json.loads(company.stdout)["referrers"] == [roots(layout)["sbom"]]


def test_the_digest_is_written_to_a_file(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    run_airbundle("copy", "--digestfile", "digest", f"oci:{layout}:app", "oci:out:app")
    assert (tmp_path / "digest").read_text() == f"{INDEX.digest}\n"


def test_a_dry_run_says_what_would_move_and_writes_nothing(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    size = sum(len(blob.data) for blob in INDEX.all_blobs())
    arguments = ["copy", "--json", "--digestfile=digest", f"oci:{layout}:app", "oci:out:app"]
    report = json.loads(run_airbundle(*arguments, "--dry-run").stdout)
    assert report["moved"] == {"blobs": 6, "bytes": size}
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "digest").exists()
    run_airbundle(*arguments)
    assert json.loads(run_airbundle(*arguments, "--dry-run").stdout)["moved"]["blobs"] == 0


def test_a_log_says_how_far_it_is_and_quiet_says_nothing(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    assert "6 blobs, " in run_airbundle("copy", f"oci:{layout}:app", "oci:a:b").stderr
    assert run_airbundle("copy", "-q", f"oci:{layout}:app", "oci:c:d").stderr == ""
    assert run_airbundle("-q", "copy", f"oci:{layout}:app", "oci:e:f").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["app", "oci:out"], 2, "names no transport"),
        (["cd:app", "oci:out"], 2, "unknown transport 'cd'"),
        (["oci:in:none", "oci:out"], 9, "none"),
        (["oci:nowhere:app", "oci:out"], 9, "nowhere"),
        (["--platform=linux/s390x", "oci:in:app", "oci:out"], 9, "linux/s390x"),
        (["--platform=linux", "oci:in:app", "oci:out"], 2, "'linux' is not a platform"),
        (["--all", "--platform=linux/arm64", "oci:in:app", "oci:out"], 2, "--platform"),
        (["--src-creds=u:p", "oci:in:app", "oci:out"], 2, "names no registry"),
        (["oci:in:app"], 2, "DESTINATION"),
    ],
)
@pytest.mark.usefixtures("layout")
def test_a_mistake_is_one_line_with_its_status(
    run_airbundle: RunAirbundle,
    tmp_path: Path,
    arguments: list[str],
    status: int,
    words: str,
) -> None:
    outcome = run_airbundle("copy", *arguments)
    assert (outcome.status, outcome.stdout) == (status, "")
    error, *hints = outcome.stderr.splitlines()
    assert error.startswith("airbundle: error: ")
    assert words in error
    assert all(hint.startswith("hint: ") for hint in hints)
    assert not (tmp_path / "out").exists()


def test_a_damaged_source_publishes_nothing(
    run_airbundle: RunAirbundle, layout: Path, tmp_path: Path
) -> None:
    blob = INDEX.all_blobs()[0]
    path = layout / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")
    path.write_bytes(bytes([blob.data[0] ^ 1]) + blob.data[1:])
    outcome = run_airbundle("copy", f"oci:{layout}:app", "oci:out:app")
    assert outcome.status == 3
    assert blob.digest in outcome.stderr
    assert not (tmp_path / "out" / "index.json").exists()
