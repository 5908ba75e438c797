"""A bundle on two volumes that are imported into a registry one after the other."""

from __future__ import annotations

import json
import os
import pty
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import images
from tests.fakes.damage import flip_bit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers


@pytest.fixture
def volumes(airbundle: servers.Client, tmp_path: Path) -> tuple[Path, Path]:
    """Two volumes of a bundle, and its keys beside them.

    The first one has the layer of ``tool`` and one of ``app``, the second one the other of ``app``.
    """
    layers = [images.layer({"data": random.Random(seed).randbytes(250_000)}) for seed in range(3)]
    named = {"tool": images.image(layers[0]), "app": images.image(*layers[1:])}
    layout = images.write_layout(tmp_path / "layout", named)
    listed = "".join(f"  - oci:{layout}:{name}\n" for name in named)
    (tmp_path / "plant.yaml").write_text(f"name: plant\nimages:\n{listed}")
    airbundle.ok("keygen", tmp_path / "key", "--no-passphrase")
    first, second = tmp_path / "v1", tmp_path / "v2"
    airbundle.ok(
        *("export", tmp_path / "plant.yaml", first, "--volume", second, "--volume-size", "4700KiB"),
        *("--sign-key", tmp_path / "key.key", "--no-read-back"),
    )
    return first, second


def test_import_asks_for_the_next_volume_on_a_terminal(
    airbundle: servers.Client, volumes: tuple[Path, Path], tmp_path: Path
):
    first, second = volumes
    command = (*airbundle.command, "import", str(first), f"oci:{tmp_path / 'target'}")
    options = ("--key", str(tmp_path / "key.pub"), "--records", str(tmp_path / "records"))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, *options, "--adopt"],
        env=airbundle.env(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(ours, f"{tmp_path}\n{second}\n".encode())
        output, errors = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, errors
    assert "volume 2 of 2 missing" in errors
    assert f"{tmp_path}: not a volume" in errors
    assert "new" in output


def test_export_asks_for_the_next_volume_on_a_terminal(
    airbundle: servers.Client, volumes: tuple[Path, Path], tmp_path: Path
):
    third, fourth = tmp_path / "v3", tmp_path / "v4"
    command = ("export", tmp_path / "plant.yaml", third, "--volume-size", "4700KiB")
    options = ("--sign-key", tmp_path / "key.key", "--no-read-back")
    failed = airbundle(*command, *options)
    assert failed.returncode == 5
    assert "1 further volume" in failed.stderr
    assert not third.exists()
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*airbundle.command, *map(str, (*command, *options))],
        env=airbundle.env(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.write(ours, f"{third}\n{fourth}\n".encode())
        output, errors = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0, errors
    assert "contains volume 1" in errors
    assert f"volume 2 of 2: {fourth}" in output
    airbundle.ok("verify", third, fourth, "--key", tmp_path / "key.pub")


def test_import_that_is_killed_between_volumes_has_recorded_what_it_has_published(
    airbundle: servers.Client, volumes: tuple[Path, Path], tmp_path: Path
):
    first, second = volumes
    target, records = tmp_path / "target", tmp_path / "records"
    options = ("--key", tmp_path / "key.pub", "--records", records, "--publish-as-complete")
    command = ("import", first, f"oci:{target}", *options, "--adopt")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*airbundle.command, *map(str, command)],
        env=airbundle.env(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        output = ""
        while "Directory of volume 2" not in output:
            character = process.stderr.read(1)
            assert character, output
            output += character
        process.kill()
    os.close(ours)
    os.close(theirs)
    assert "1 complete image published" in output
    [receipt] = map(read_receipt, (records / "receipts").glob("*.json"))
    assert [image["action"] for image in receipt["images"]] == ["new"]
    assert receipt["complete"] is False

    report = json.loads(airbundle.ok("import", second, f"oci:{target}", *options, "--json"))
    assert [image["action"] for image in report["images"]] == ["same", "new"]
    assert report["complete"] is True


def read_receipt(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_bytes())
    return value


def test_volumes_come_one_after_the_other_and_a_lost_one_is_requested(
    airbundle: servers.Client,
    registry: servers.Registry,
    repository: str,
    volumes: tuple[Path, Path],
    tmp_path: Path,
):
    first, second = volumes
    again, sign = tmp_path / "again", ("--sign-key", tmp_path / "key.key", "--no-read-back")
    target = f"docker://{registry.host}/{repository}"
    trust = ("--key", tmp_path / "key.pub", "--tls-verify=false")
    site = ("--records", tmp_path / "records", "--adopt")

    result = airbundle("verify", first, "--key", tmp_path / "key.pub")
    assert result.returncode == 11
    assert "volume 1 of 2 of bundle plant" in result.stdout
    assert airbundle("ls", first).returncode == 11
    assert airbundle("import", first, target, *trust, *site).returncode == 11
    owed = ("owed", first, target, *trust, "-o", tmp_path / "owed.json", "--json")
    result = airbundle(*owed)
    assert result.returncode == 11
    assert json.loads(result.stdout)["owed"] == [2]
    recorded = ("owed", target, "--records", tmp_path / "records", "--json")
    result = airbundle(*recorded, "-o", tmp_path / "recorded.json")
    assert result.returncode == 11
    assert [item["owed"] for item in json.loads(result.stdout)["bundles"]] == [[2]]
    assert (tmp_path / "recorded.json").read_bytes() == (tmp_path / "owed.json").read_bytes()

    resend = ("--resend", tmp_path / "owed.json")
    airbundle.ok("export", tmp_path / "plant.yaml", again, *resend, *sign)
    assert (again / "bundle.json").read_bytes() == (second / "bundle.json").read_bytes()
    airbundle.ok("verify", again, first, "--key", tmp_path / "key.pub")
    report = airbundle.ok("import", again, target, *trust, *site, "--json")
    assert json.loads(report)["images"][0]["action"] == "new"
    assert json.loads(airbundle.ok(*owed))["owed"] == []
    assert json.loads(airbundle.ok(*recorded))["bundles"] == []


def test_damaged_volume_is_found_before_the_first_push(
    airbundle: servers.Client, volumes: tuple[Path, Path], tmp_path: Path
):
    first, _ = volumes
    trust = ("--key", tmp_path / "key.pub", "--records", tmp_path / "records")
    command = ("import", first, f"oci:{tmp_path / 'target'}", *trust, "--verify-first")
    flip_bit(max(first.glob("blobs/sha256/*"), key=lambda path: path.stat().st_size))
    result = airbundle(*command)
    assert result.returncode == airbundle("verify", first, *trust[:2]).returncode
    assert "damaged volumes" in result.stderr
    assert not (tmp_path / "target").exists()
