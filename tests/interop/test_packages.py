"""Packages compared with the tools of the same root: this machine's dpkg, pip and Go."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images, tars

if TYPE_CHECKING:
    from tests.interop.servers import Client

pytestmark = pytest.mark.interop
STATUS = Path("/var/lib/dpkg/status")


def run(*arguments: str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def read(airbundle: Client, tmp_path: Path):
    def read_files(files: dict[str, Path]) -> list[dict[str, str]]:
        layer = tars.layer(*(tars.member(name, path.read_bytes()) for name, path in files.items()))
        images.write_layout(tmp_path / "layout", {"a": images.image(layer)})
        result = airbundle("packages", f"oci:{tmp_path}/layout", "--json")
        assert (result.returncode, result.stderr) == (0, "")
        return json.loads(result.stdout)["images"][0]["packages"]

    return read_files


@pytest.mark.skipif(not STATUS.exists(), reason="no database of dpkg")
def test_packages_of_dpkg_are_those_of_dpkg_query(read):
    fields = ("Package", "Version", "Architecture", "source:Package", "source:Version")
    form = "".join(f"${{{field}}}\t" for field in fields)
    listed = run("dpkg-query", "-W", "-f", f"{form}${{db:Status-Status}}\n").splitlines()
    expected = {tuple(line.split("\t")[:-1]) for line in listed if line.endswith("\tinstalled")}
    keys = ("name", "version", "architecture", "sourceName", "sourceVersion")
    found = {tuple(item[key] for key in keys) for item in read({str(STATUS)[1:]: STATUS})}
    assert found == expected


def test_packages_of_python_are_those_of_pip(read):
    listed = json.loads(run(sys.executable, "-m", "pip", "list", "--format", "json"))
    site = Path(sys.prefix) / "lib"
    files = {
        str(path)[1:]: path
        for pattern in ("*.dist-info/METADATA", "*.egg-info/PKG-INFO")
        for path in site.glob(f"python3*/site-packages/{pattern}")
    }
    found = {(item["name"], item["version"]) for item in read(files)}
    assert found == {
        (re.sub(r"[-_.]+", "-", item["name"]).lower(), item["version"]) for item in listed
    }


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="no program of Go")
@pytest.mark.skipif(shutil.which("go") is None, reason="no Go")
def test_modules_of_a_program_are_those_of_go(read):
    program = Path(shutil.which("skopeo") or "").resolve()
    first, *lines = run("go", "version", "-m", str(program)).splitlines()
    expected = [("stdlib", first.rpartition(": ")[2].split()[0].removeprefix("go"))]
    for line in lines:
        kind, *facts = line.strip().split("\t")
        if kind in ("mod", "dep"):
            expected.append((facts[0], facts[1] if len(facts) > 1 else ""))
        elif kind == "=>":
            expected[-1] = (facts[0], facts[1])
    found = {(item["name"], item.get("version", "")) for item in read({"usr/bin/a": program})}
    assert found == set(expected)
