"""A bundle in one file: written, verified, imported and audited in place, and read by tar."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.cli.commands.bundles.conftest import MANIFEST
from tests.fakes import archives, images
from tests.fakes.damage import flip_bit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

KEY = keys.generate_key()
EXPORT = ("export", "ward.yaml", "ward.airbundle", "--sign-key", "k.key")
TRUST = ("--key", "k.pub")


@pytest.fixture
def archive(work_dir: Path, run_airbundle: RunAirbundle) -> Path:
    """A signed archive."""
    (work_dir / "k.key").write_bytes(KEY.to_pem(None))
    (work_dir / "k.key").chmod(0o600)
    (work_dir / "k.pub").write_bytes(KEY.public.to_pem())
    result = run_airbundle(*EXPORT)
    assert result.status == 0, result.stderr
    return work_dir / "ward.airbundle"


def test_archive_is_verified_and_imported_in_place(archive: Path, run_airbundle: RunAirbundle):
    assert run_airbundle("verify", archive, *TRUST).status == 0
    files = set(archive.parent.iterdir())
    result = run_airbundle("import", archive, "oci:inside", *TRUST)
    assert result.status == 0, result.stderr
    assert set(archive.parent.iterdir()) - files == {archive.parent / "inside"}
    stored = json.loads((archive.parent / "inside/index.json").read_bytes())
    expected = json.loads(
        subprocess.run(
            ["tar", "-xOf", archive, "index.json"], capture_output=True, check=True
        ).stdout
    )
    assert [item["digest"] for item in stored["manifests"]] == [
        item["digest"] for item in expected["manifests"]
    ]


def test_tar_unpacks_an_archive_to_the_directory_of_a_bundle(
    archive: Path, run_airbundle: RunAirbundle
):
    (archive.parent / "unpacked").mkdir()
    listed = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    assert names[0] == "plan.json"
    assert names[1].startswith("plan.json.")
    assert names[-3] == "bundle.json"
    subprocess.run(["tar", "-xf", archive, "-C", archive.parent / "unpacked"], check=True)
    verified = run_airbundle("verify", "unpacked", *TRUST, "--json")
    assert verified.status == 0, verified.stderr
    assert json.loads(verified.stdout)["unlisted"] == 0
    assert run_airbundle("diff", archive, "unpacked").status == 0


@pytest.mark.parametrize(
    "command",
    [
        ("ls",),
        ("packages",),
        ("tree", "localhost/web:1"),
        ("files", "localhost/web:1"),
        ("show", "localhost/web:1"),
        ("cat", "localhost/web:1", "web"),
    ],
    ids=lambda command: command[0],
)
def test_commands_print_the_same_for_an_archive_as_for_its_directory(
    archive: Path, run_airbundle: RunAirbundle, command: tuple[str, ...]
):
    name, *arguments = command
    (archive.parent / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", archive.parent / "unpacked"], check=True)
    results = [run_airbundle(name, place, *arguments) for place in (archive, "unpacked")]
    assert results[0].status == 0, results[0].stderr
    assert results[0].stdout == results[1].stdout


def add_damaged_image(place: Path) -> None:
    """Add an image with a damaged layer to the beginning of the manifest."""
    bad = images.image(images.layer({"bad": os.urandom(50_000)}))
    images.write_layout(place / "bad", {"bad:1": bad})
    flip_bit(place / "bad/blobs/sha256" / bad.blobs[1].digest.removeprefix("sha256:"))
    text = MANIFEST.replace("images:\n", "images:\n  - oci:./bad:bad:1\n")
    (place / "ward.yaml").write_text(text)


def test_failed_export_leaves_the_former_archive(archive: Path, run_airbundle: RunAirbundle):
    before = archive.read_bytes()
    add_damaged_image(archive.parent)
    assert run_airbundle(*EXPORT).status == 3
    assert archive.read_bytes() == before
    assert not [path for path in archive.parent.iterdir() if path.name.startswith(".")]


def test_export_without_images_that_fail_closes_the_gaps(
    work_dir: Path, run_airbundle: RunAirbundle
):
    """The blobs of the failed image come first, so all others move."""
    add_damaged_image(work_dir)
    result = run_airbundle("export", "ward.yaml", "w.airbundle", "--unsigned", "--keep-going")
    assert result.status == 11, result.stderr
    verified = run_airbundle("verify", "w.airbundle", "--json")
    report = json.loads(verified.stdout)
    assert (report["findings"], report["unlisted"], report["images"]) == ([], 0, 2)


def test_renewal_gets_a_higher_serial(archive: Path, run_airbundle: RunAirbundle):
    serials = []
    for _ in range(2):
        serials.append(json.loads(run_airbundle("verify", archive, "--json").stdout)["serial"])
        assert run_airbundle(*EXPORT).status == 0
    assert serials[0] <= serials[1]


def test_renewal_transfers_only_what_the_former_archive_lacks(
    archive: Path, run_airbundle: RunAirbundle
):
    """The origin has lost the layers of the former images."""
    blobs = list((archive.parent / "layout/blobs/sha256").iterdir())
    layers = [path for path in blobs if path.read_bytes().startswith(b"\x1f\x8b")]
    for path in layers:
        path.unlink()
    images.write_layout(archive.parent / "more", {"new:1": images.image(images.layer({"n": b"n"}))})
    text = MANIFEST.replace("images:\n", "images:\n  - oci:./more:new:1\n")
    (archive.parent / "ward.yaml").write_text(text)
    renewed = run_airbundle(*EXPORT)
    assert renewed.status == 0, renewed.stderr
    assert "in 2 blobs" in renewed.stdout  # a config and a layer
    assert run_airbundle("verify", archive, *TRUST).status == 0


def test_damaged_content_of_the_former_archive_is_transferred_again(
    archive: Path, run_airbundle: RunAirbundle
):
    data = bytearray(archive.read_bytes())
    data[data.index(b"\x1f\x8b") + 30] ^= 1
    archive.write_bytes(data)
    assert run_airbundle(*EXPORT).status == 0
    assert run_airbundle("verify", archive, *TRUST).status == 0


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"notes of somebody", 10), (b"", 10)],
)
def test_other_files_are_not_replaced(
    work_dir: Path, run_airbundle: RunAirbundle, content: bytes, status: int
):
    (work_dir / "w.airbundle").write_bytes(content)
    result = run_airbundle("export", "ward.yaml", "w.airbundle", "--unsigned")
    assert result.status == status, result.stderr
    assert (work_dir / "w.airbundle").read_bytes() == content


@pytest.mark.parametrize(
    "option",
    [("--format", "dir"), ("--duplicate-blobs",), ("--in-place",), ("--recovery", "5%")],
    ids=lambda option: option[0],
)
def test_options_of_directories_do_not_apply(
    work_dir: Path, run_airbundle: RunAirbundle, option: tuple[str, ...]
):
    result = run_airbundle("export", "ward.yaml", "w.airbundle", "--unsigned", *option)
    assert result.status == 2
    assert not (work_dir / "w.airbundle").exists()


def test_damage_is_found(archive: Path, run_airbundle: RunAirbundle):
    data = archive.read_bytes()
    place = data.index(b"blobs/sha256/") + 512
    archive.write_bytes(data[: place + 3] + bytes([data[place + 3] ^ 1]) + data[place + 4 :])
    result = run_airbundle("verify", archive, *TRUST)
    assert result.status == 3
    assert "blobs/sha256/" in result.stdout + result.stderr
    archive.write_bytes(data[:-2000])
    cut = run_airbundle("import", archive, "oci:inside", *TRUST)
    assert cut.status == 3
    assert "cut after" in cut.stderr
    assert not (archive.parent / "inside/index.json").exists()


def test_signature_for_an_archive_is_a_separate_file(archive: Path, run_airbundle: RunAirbundle):
    other = keys.generate_key()
    (archive.parent / "o.key").write_bytes(other.to_pem(None))
    (archive.parent / "o.key").chmod(0o600)
    (archive.parent / "o.pub").write_bytes(other.public.to_pem())
    refused = run_airbundle("sign", archive, "--key", "o.key")
    assert refused.status == 1
    assert "--output" in refused.stderr
    assert run_airbundle("sign", archive, "--key", "o.key", "--output", "o.sig").status == 0
    accepted = run_airbundle("verify", archive, "--key", "o.pub", "--signature", "o.sig")
    assert accepted.status == 0, accepted.stderr


def test_archive_written_by_another_program_is_read(tmp_path: Path, run_airbundle: RunAirbundle):
    archives.write(tmp_path / "other.airbundle", (KEY,))
    (tmp_path / "k.pub").write_bytes(KEY.public.to_pem())
    result = run_airbundle("verify", "other.airbundle", *TRUST)
    assert result.status == 0, result.stdout + result.stderr
