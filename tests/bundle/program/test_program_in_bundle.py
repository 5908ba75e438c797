"""The carried program in a bundle: listed, signed, verified, and replaced by a renewal."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from bundler.bundle.exporting import relay
from bundler.bundle.exporting.export import ExportRequest
from bundler.bundle.format.inventory.inventory import TYPE_3
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.program import copy_program
from bundler.bundle.verifying.verify import verify
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.errors import MalformedError
from bundler.ports import OpenOptions
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.bundle.program.test_carried_program import make_program
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

KEY = keys.generate_key()
TRUST = TrustedKeys.create([KEY.public])


def write(tmp_path: Path, program: Path | None, form: str = "oci") -> tuple[Path, dict[str, Any]]:
    if not (tmp_path / "in").exists():
        bundles.write(tmp_path / "in", keys=(KEY,))
    request = ExportRequest(
        images=(),
        options=OpenOptions(Settings),
        bundle=tmp_path / "out",
        stream="",
        format=form,
        keys=(KEY,),
        program={} if program is None else copy_program.place_files(program),
    )
    with ThreadPoolExecutor(2) as executor:
        relay.relay(relay.RelayRequest(tmp_path / "in", TRUST, request), EngineOptions(executor))
    return tmp_path / "out", json.loads((tmp_path / "out/bundle.json").read_bytes())


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_program_is_listed_and_verified(tmp_path: Path, form: str) -> None:
    program = make_program(tmp_path / "program", "airbundle", "linux-x86_64/libc.so.6")

    bundle, inventory = write(tmp_path, program, form)

    name = inventory["program"]
    assert inventory["_type"] == TYPE_3
    sums = (bundle / "SHA256SUMS").read_text()
    assert sums.count(f"  {name}/") == 3
    assert f"sh {name}/airbundle verify ." in (bundle / "VERIFY.txt").read_text()
    assert (bundle / name / "airbundle").stat().st_mode & 0o111
    checked = subprocess.run(
        f"grep ' {name}/' SHA256SUMS | sha256sum -c --strict --quiet -",
        shell=True,
        cwd=bundle,
        check=False,
    )
    assert checked.returncode == 0
    verify(bundle, TRUST).check()

    (bundle / name / "linux-x86_64/libc.so.6").write_text("other")
    assert [item.path for item in verify(bundle, TRUST).findings] == [
        f"{name}/linux-x86_64/libc.so.6"
    ]


def test_renewal_replaces_former_program(tmp_path: Path) -> None:
    first = make_program(tmp_path / "first", "airbundle")
    second = make_program(tmp_path / "second", "airbundle", "linux-aarch64/ld.so")
    bundle, former = write(tmp_path, first)
    _, same = write(tmp_path, first)
    assert same == former

    _, renewed = write(tmp_path, second)

    assert [path.name for path in bundle.glob("program-*")] == [renewed["program"]]
    verify(bundle, TRUST).check()
    _, without = write(tmp_path, None)
    assert "program" not in without
    assert not list(bundle.glob("program-*"))


def test_part_of_a_new_program_beside_the_former_is_no_damage(tmp_path: Path) -> None:
    bundle, _ = write(tmp_path, make_program(tmp_path / "first"))
    make_program(bundle / "program-0123456789abcdef", "linux-x86_64/ld.so")

    verify(bundle, TRUST).check()


@pytest.mark.parametrize("name", ["..", "program-x", "program-0123456789abcdef/.."])
def test_other_directory_for_the_program_is_malformed(tmp_path: Path, name: str) -> None:
    _, inventory = write(tmp_path, make_program(tmp_path / "program"))

    with pytest.raises(MalformedError):
        parse_inventory(json.dumps(inventory | {"program": name}).encode())
