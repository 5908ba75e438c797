"""Packages compared with the tools of the same root: dpkg, rpm, pip, npm and Go."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import images, tars

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def list_modules(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, item in node.get("dependencies", {}).items():
        yield name, item["version"]
        yield from list_modules(item)


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm")
def test_modules_of_node_are_those_of_npm(read, tmp_path: Path):
    packages = {
        "a": ("1.0.0-rc.1+build.5", {"c": "^2.0.0", "@scope/b": "*"}),
        "@scope/b": ("0.0.1", {}),
        "c": ("1.9.0", {}),
        "a/node_modules/c": ("2.1.0", {"d": "1.x"}),
        "a/node_modules/d": ("1.10.0", {}),
    }
    needed = {name: "*" for name in packages if "node_modules" not in name}
    (tmp_path / "package.json").write_text(json.dumps({"name": "x", "dependencies": needed}))
    files = {}
    for path, (version, dependencies) in packages.items():
        file = tmp_path / "node_modules" / path / "package.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        name = path.rpartition("node_modules/")[2]
        value = {"name": name, "version": version, "dependencies": dependencies}
        file.write_text(json.dumps(value))
        files[f"srv/{file.relative_to(tmp_path)}"] = file
    listed = json.loads(run("npm", "ls", "--all", "--json", "--prefix", str(tmp_path)))
    found = {
        (
            f"{item['namespace']}/{item['name']}" if "namespace" in item else item["name"],
            item["version"],
        )
        for item in read(files)
    }
    assert found == set(list_modules(listed))


RPM_SPEC = """
Name: one
Version: 1.0~rc1^git
Release: 1.el9
Summary: x
License: MIT AND GPL-2.0-or-later
BuildArch: noarch
%description
x
%package -n two+3
Summary: x
Version: 20260101
Epoch: 3
%description -n two+3
x
%package -n lib_x-y
Summary: x
%description -n lib_x-y
x
%files
%files -n two+3
%files -n lib_x-y
"""


@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="no rpmbuild")
def test_packages_of_rpm_are_those_of_rpm(read, tmp_path: Path):
    macros = ("--define", f"_topdir {tmp_path}", "--define", "_db_backend sqlite")
    database = tmp_path / "db"
    spec = tmp_path / "x.spec"
    spec.write_text(RPM_SPEC)
    run("rpmbuild", "-bb", "--quiet", *macros, str(spec))
    built = [str(path) for path in tmp_path.glob("RPMS/noarch/*.rpm")]
    common = ("rpm", *macros, "--dbpath", str(database))
    run(*common, "-i", "--justdb", "--nodeps", "--nosignature", *built)
    form = "%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} %{ARCH}\\n"
    expected = set(run(*common, "-qa", "--qf", form).splitlines())
    found = {
        f"{item['name']} {item['version']} {item['architecture']}"
        for item in read({"usr/lib/sysimage/rpm/rpmdb.sqlite": database / "rpmdb.sqlite"})
    }
    assert len(expected) == 3
    assert found == expected
