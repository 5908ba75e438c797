"""Archives in parts, and archives that are cut: what is present is verified and imported."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import images
from tests.fakes.damage import flip_bit
from tests.interop import servers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

KEY = keys.generate_key()
TRUST = ("--key", "k.pub")
FIRST = ("--adopt", "--reason", "test")
MANIFEST = "name: ward\nimages:\n  - oci:./layout:tool:2\n  - oci:./layout:web:1\n"


@pytest.fixture
def place(tmp_path: Path, run_airbundle: RunAirbundle) -> Path:
    """A directory with an archive in three parts, of which the layers of web:1 take two."""
    named = {
        "tool:2": images.image(images.layer({"tool": os.urandom(10_000)})),
        "web:1": images.image(images.layer({"web": os.urandom(150_000)})),
    }
    images.write_layout(tmp_path / "layout", named)
    (tmp_path / "ward.yaml").write_text(MANIFEST)
    (tmp_path / "k.key").write_bytes(KEY.to_pem(None))
    (tmp_path / "k.key").chmod(0o600)
    (tmp_path / "k.pub").write_bytes(KEY.public.to_pem())
    result = run_airbundle(*export("w.airbundle"))
    assert result.status == 0, result.stderr
    return tmp_path


def export(name: str, *options: str) -> tuple[str, ...]:
    return ("export", "ward.yaml", name, "--sign-key", "k.key", "--split", "64KiB", *options)


def find_names(place: Path) -> set[str]:
    """Return the names in the target."""
    index = place / "inside/index.json"
    entries = json.loads(index.read_bytes())["manifests"] if index.exists() else []
    return {item["annotations"]["org.opencontainers.image.ref.name"] for item in entries}


def test_parts_are_checked_and_joined_by_other_programs(place: Path, run_airbundle: RunAirbundle):
    parts = sorted(path.name for path in place.glob("w.airbundle.0*"))
    assert parts == ["w.airbundle.001", "w.airbundle.002", "w.airbundle.003"]
    subprocess.run(["sha256sum", "-c", "w.airbundle.sha256"], cwd=place, check=True)
    (signature,) = place.glob("w.airbundle.sha256.*.sig")
    command = ["dgst", "-sha256", "-verify", "k.pub", "-signature", signature, "w.airbundle.sha256"]
    subprocess.run([servers.program("openssl"), *command], cwd=place, check=True)
    subprocess.run("cat w.airbundle.0?? > joined.airbundle", shell=True, cwd=place, check=True)
    joined = run_airbundle("verify", "joined.airbundle", *TRUST)
    assert joined.status == 0, joined.stderr
    for name in ("w.airbundle", "w.airbundle.002"):
        verified = run_airbundle("verify", name, *TRUST)
        assert (verified.status, verified.stdout) == (0, joined.stdout)
    assert run_airbundle("ls", "w.airbundle").status == 0


def test_parts_are_imported_as_they_come(place: Path, run_airbundle: RunAirbundle):
    (place / "later").mkdir()
    (place / "w.airbundle.002").rename(place / "later/w.airbundle.002")
    verified = run_airbundle("verify", "w.airbundle", *TRUST, "--json")
    assert verified.status == 11, verified.stderr
    report = json.loads(verified.stdout)["partial"]
    assert report["incomplete"] == ["localhost/web:1"]
    first = run_airbundle("import", "w.airbundle", "oci:inside", *TRUST, *FIRST)
    assert first.status == 11
    assert "part 002 missing" in first.stderr
    assert not find_names(place)
    (place / "later/w.airbundle.002").rename(place / "w.airbundle.002")
    second = run_airbundle("import", "w.airbundle", "oci:inside", *TRUST, *FIRST)
    assert second.status == 0, second.stderr
    assert "already present" in second.stdout
    assert find_names(place) == {"web:1", "tool:2"}


def test_cut_archive_is_imported_as_far_as_it_is_whole(place: Path, run_airbundle: RunAirbundle):
    data = b"".join(path.read_bytes() for path in sorted(place.glob("w.airbundle.0*")))
    (place / "cut.airbundle").write_bytes(data[:100_000])
    cut = run_airbundle("import", "cut.airbundle", "oci:inside", *TRUST, *FIRST)
    assert cut.status == 3
    assert "incomplete: localhost/web:1" in cut.stderr
    assert "tool:2" not in cut.stderr
    assert not find_names(place)
    (place / "cut.airbundle").write_bytes(data)
    again = run_airbundle("import", "cut.airbundle", "oci:inside", *TRUST, *FIRST)
    assert again.status == 0, again.stderr
    assert "already present" in again.stdout


def test_damaged_part_is_named(place: Path, run_airbundle: RunAirbundle):
    part = place / "w.airbundle.002"
    data = bytearray(part.read_bytes())
    data[30_000] ^= 1
    part.write_bytes(data)
    (place / "w.airbundle.003").unlink()
    result = run_airbundle("verify", "w.airbundle", *TRUST)
    assert result.status == 3
    assert "w.airbundle.002" in result.stderr
    assert run_airbundle("import", "w.airbundle", "oci:inside", *TRUST, *FIRST).status in (3, 11)


def test_existing_parts_are_not_replaced(place: Path, run_airbundle: RunAirbundle):
    before = (place / "w.airbundle.001").read_bytes()
    assert run_airbundle(*export("w.airbundle")).status == 10
    (place / "w.airbundle.sha256").unlink()  # as an interrupted export leaves them
    assert run_airbundle(*export("w.airbundle", "--read-back")).status == 0
    assert (place / "w.airbundle.001").read_bytes() != before


@pytest.mark.parametrize("name", ["-", "directory"])
def test_other_destinations_have_no_parts(place: Path, run_airbundle: RunAirbundle, name: str):
    assert run_airbundle(*export(name)).status == 2


def test_gaps_of_failed_images_are_closed_across_parts(place: Path, run_airbundle: RunAirbundle):
    """The layer of the failed image comes first, so all others move."""
    bad = images.image(images.layer({"bad": os.urandom(50_000)}))
    images.write_layout(place / "bad", {"bad:1": bad})
    flip_bit(place / "bad/blobs/sha256" / bad.blobs[1].digest.removeprefix("sha256:"))
    text = MANIFEST.replace("images:\n", "images:\n  - oci:./bad:bad:1\n")
    (place / "ward.yaml").write_text(text)
    exported = run_airbundle(*export("gap.airbundle", "--keep-going"))
    assert exported.status == 11, exported.stderr
    assert run_airbundle("verify", "gap.airbundle", *TRUST).status == 0


def test_failed_export_leaves_no_part(place: Path, run_airbundle: RunAirbundle):
    blobs = sorted((place / "layout/blobs/sha256").iterdir(), key=os.path.getsize)
    blobs[-1].write_bytes(b"x")
    assert run_airbundle(*export("n.airbundle")).status != 0
    assert not [path for path in place.iterdir() if "n.airbundle" in path.name]
