"""``airbundle relay``."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from bundler.trust import keys
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

KEY, RELAY = keys.generate_key(), keys.generate_key()
COMMAND = ("relay", "in", "out", "--key", "ours.pub", "--sign-key", "relay.key")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    keys.write_key_pair(tmp_path / "ours", KEY, None)
    keys.write_key_pair(tmp_path / "relay", RELAY, None)
    return bundles.write(tmp_path / "in", keys=(KEY,), expires="2999-01-01T00:00:00Z")


def read(bundle: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((bundle / "bundle.json").read_bytes())
    return value


def test_bundle_is_relayed_into_an_archive_and_out_of_it(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    first = run_airbundle("relay", "in", "out.airbundle", *COMMAND[3:])
    assert first.status == 0, first.stderr
    command = ("relay", "out.airbundle", "third", "--key", "relay.pub", "--sign-key", "ours.key")
    second = run_airbundle(*command)
    assert second.status == 0, second.stderr

    assert read(tmp_path / "third")["images"] == read(bundle)["images"]
    assert run_airbundle("verify", "third", "--key", "ours.pub").status == 0


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_relayed_bundle_has_the_same_images_and_names_its_origin(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle, form: str
):
    result = run_airbundle(*COMMAND, "--format", form)
    assert result.status == 0, result.stderr

    original, relayed = read(bundle), read(tmp_path / "out")
    digest = hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert relayed["images"] == original["images"]
    assert relayed["stream"] == f"{original['stream']}-relay"
    assert relayed["expires"] == original["expires"]
    assert relayed["relayed"] == [
        {
            "stream": original["stream"],
            "serial": original["serial"],
            "inventory": f"sha256:{digest}",
            "signedBy": [KEY.public.id],
        }
    ]
    verified = run_airbundle("verify", "out", "--key", "relay.pub")
    assert verified.status == 0
    assert f"relayed from {original['stream']} {original['serial']}" in verified.stdout
    assert run_airbundle("verify", "out", "--key", "ours.pub").status == 4


def test_bundle_is_relayed_to_volumes_and_back(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    content = random.Random(7)
    layers = [images.layer({name: content.randbytes(300_000)}) for name in "ab"]
    shutil.rmtree(bundle)
    bundles.write(bundle, {bundles.REFERENCES[0]: images.image(*layers)}, keys=(KEY,))
    for number in (1, 2):
        (tmp_path / f"v{number}").mkdir()
    command = ("relay", "in", "v1", *COMMAND[3:], "--volume", "v2", "--volume-size", "4500KiB")
    first = run_airbundle(*command)
    assert first.status == 0, first.stderr
    command = ("relay", "v1", "v2", "back", "--key", "relay.pub", "--sign-key", "ours.key")
    second = run_airbundle(*command)
    assert second.status == 0, second.stderr

    assert not (tmp_path / "v1/bundle.json").exists()
    assert read(tmp_path / "back")["images"] == read(bundle)["images"]
    assert [item["signedBy"] for item in read(tmp_path / "back")["relayed"]] == [
        [KEY.public.id],
        [RELAY.public.id],
    ]


def test_relay_of_selected_images_has_only_their_blobs(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    result = run_airbundle(*COMMAND, "--only", "nginx", "--stream", "line-2", "--json")
    assert result.status == 0, result.stderr

    relayed = read(tmp_path / "out")
    assert [image["reference"] for image in relayed["images"]] == [bundles.REFERENCES[0]]
    assert relayed["stream"] == "line-2"
    stored = len(list((tmp_path / "out/blobs/sha256").iterdir()))
    assert stored < len(list((bundle / "blobs/sha256").iterdir()))
    assert run_airbundle("verify", "out", "--key", "relay.pub").status == 0


def test_relay_of_a_relayed_bundle_names_both_origins(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    assert run_airbundle(*COMMAND).status == 0
    command = ("relay", "out", "third", "--key", "relay.pub", "--sign-key", "ours.key")
    assert run_airbundle(*command).status == 0

    value = read(tmp_path / "third")
    assert [item["signedBy"] for item in value["relayed"]] == [[KEY.public.id], [RELAY.public.id]]
    assert value["stream"] == read(tmp_path / "out")["stream"]


def test_repeated_relay_changes_nothing(tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle):
    assert run_airbundle(*COMMAND).status == 0
    before = (tmp_path / "out/bundle.json").read_bytes()

    result = run_airbundle(*COMMAND)
    assert "unchanged" in result.stdout
    assert (tmp_path / "out/bundle.json").read_bytes() == before


def test_relay_refuses_bundle_of_another_signer_before_it_writes(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    command = ("relay", "in", "out", "--key", "relay.pub", "--sign-key", "relay.key")
    assert run_airbundle(*command).status == 4
    assert not (tmp_path / "out").exists()


def test_relay_of_damaged_bundle_is_not_sealed(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    blob = bundles.find_largest_blob(bundle)
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)

    assert run_airbundle(*COMMAND).status == 3
    assert not (tmp_path / "out/bundle.json").exists()


def test_relay_of_older_bundle_is_refused(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    assert run_airbundle(*COMMAND).status == 0
    serial = read(bundle)["serial"] - 1
    bundles.write(tmp_path / "older", keys=(KEY,), serial=serial)

    result = run_airbundle("relay", "older", *COMMAND[2:])
    assert result.status == 4
    assert "older than" in result.stderr


def test_relay_into_its_own_bundle_is_refused(bundle: Path, run_airbundle: RunAirbundle):
    before = (bundle / "bundle.json").read_bytes()
    stream = read(bundle)["stream"]

    assert run_airbundle("relay", "in", "./in", *COMMAND[3:], "--stream", stream).status == 2
    assert (bundle / "bundle.json").read_bytes() == before
