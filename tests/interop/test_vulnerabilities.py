"""Vulnerabilities of the packages of this Debian system, compared with the answers of dpkg."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.bundle.audit.vulnerabilities.conftest import create_record
from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from tests.interop.servers import Client

STATUS = Path("/var/lib/dpkg/status")
RELEASE = Path("/etc/os-release")
START = ("introduced", "0")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not STATUS.exists(), reason="no database of dpkg"),
]


def is_debian() -> bool:
    return "ID=debian" in RELEASE.read_text().splitlines()


def list_installed() -> dict[str, tuple[str, str]]:
    """Return the source package and its version of each installed package."""
    form = "${db:Status-Status} ${Package} ${source:Package} ${source:Version}\n"
    lines = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={form}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    fields = [line.split() for line in lines if line.startswith("installed ")]
    return {name: (source, version) for _, name, source, version in fields}


def is_lower(one: str, other: str) -> bool:
    arguments = ["dpkg", "--compare-versions", one, "lt", other]
    return subprocess.run(arguments, check=False).returncode == 0


@pytest.mark.skipif(not is_debian(), reason="not Debian")
def test_vulnerabilities_of_this_system(airbundle: Client, tmp_path: Path) -> None:
    """For each source package, records around its version, and expectations from dpkg."""
    layer = tars.layer(
        tars.member("var/lib/dpkg/status", STATUS.read_bytes()),
        tars.member("etc/os-release", RELEASE.read_bytes()),
    )
    bundles.write(tmp_path / "b", {bundles.REFERENCES[0]: images.image(layer)})
    major = next(
        line.partition("=")[2].strip('"')
        for line in RELEASE.read_text().splitlines()
        if line.startswith("VERSION_ID=")
    )
    installed = list_installed()
    chance = random.Random(3)
    stated = sorted(set(installed.values()))
    names = [name for name, _ in stated]
    sources = {name: version for name, version in stated if names.count(name) == 1}
    records, expected = [], set()
    for number, source in enumerate(chance.sample(sorted(sources), min(60, len(sources)))):
        version = sources[source]
        for kind, fixed in enumerate(
            (version, f"{version}+deb12u9", f"{version}~bpo1", "0~", f"9{version}", "99999:0")
        ):
            identifier = f"TEST-{number}-{kind}"
            records.append(
                create_record(identifier, f"Debian:{major}", source, START, ("fixed", fixed))
            )
            if is_lower(version, fixed):
                expected |= {
                    (identifier, name) for name, (own, _) in installed.items() if own == source
                }
    (tmp_path / "osv").mkdir()
    for number, record in enumerate(records):
        (tmp_path / "osv" / f"{number}.json").write_text(json.dumps(record))
    result = airbundle("vulns", str(tmp_path / "b"), "--database", str(tmp_path / "osv"), "--json")
    assert result.returncode == 0, result.stderr
    (image,) = json.loads(result.stdout)["images"]
    found = {(item["id"], item["package"]) for item in image["vulnerabilities"]}
    assert found == expected
    assert image["complete"]
    assert len(expected) > len(records) // 3
