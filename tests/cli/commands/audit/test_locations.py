"""The commands that look into images, at every kind of location in place of a bundle."""

from __future__ import annotations

import json
import shutil
from random import Random
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from tests.fakes import images, tars
from tests.fakes.engine import FakeEngine
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = "docker.io/library/app:1"
IMAGE_LAYER = tars.layer(
    tars.member("lib/apk/db/installed", b"P:one\nV:1.0-r0\nL:MIT\n"),
    tars.member("etc/motd", b"hello\n"),
)
IMAGE = images.image(
    IMAGE_LAYER,
    config={"config": {"User": "1", "Labels": {"vendor": "Example"}}},
)
LOCATIONS = (
    "oci:layout",
    "oci-archive:a.tar",
    f"oci-archive:a.tar:{NAME}",
    "docker-archive:d.tar",
    f"docker-archive:d.tar:{NAME}",
    "dir:folder",
    f"containers-storage:[vfs@STORE/store+STORE/run]{NAME}",
    "docker-daemon:app:1",
    "docker://REGISTRY/library/app:1",
)
COMMANDS = (
    ("ls", "LOCATION", "--long"),
    ("tree", "LOCATION"),
    ("why", "LOCATION", "DIGEST"),
    ("show", "LOCATION"),
    ("files", "LOCATION"),
    ("cat", "LOCATION", "/etc/motd"),
    ("find", "LOCATION", "--file", "motd"),
    ("packages", "LOCATION", "--claims"),
    ("sbom", "LOCATION"),
    ("audit", "LOCATION", "--rules", "gate.yaml"),
    ("diff", "LOCATION", "LOCATION"),
)


@pytest.fixture
def options(
    request: pytest.FixtureRequest, tmp_path: Path, run_airbundle: RunAirbundle
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A location with one image, and the options to read it."""
    location: str = request.param
    images.write_layout(tmp_path / "layout", {NAME: IMAGE})
    with FakeEngine() as engine, FakeRegistry() as registry:
        location = location.replace("STORE", str(tmp_path)).replace("REGISTRY", registry.host)
        read: tuple[str, ...] = ()
        if location.startswith("docker-daemon:"):
            read = ("--daemon-host", engine.host)
        elif location.startswith("docker:"):
            read = ("--tls-verify=false",)
        if not location.startswith("oci:"):
            write = [option.replace("--", "--dest-") for option in read]
            assert run_airbundle("copy", f"oci:layout:{NAME}", location, *write).status == 0
        yield location, read


@pytest.mark.parametrize("options", LOCATIONS, indirect=True, ids=lambda text: text.split("[")[0])
def test_every_command_reads_every_location(
    options: tuple[str, tuple[str, ...]], tmp_path: Path, run_airbundle: RunAirbundle
):
    location, read = options
    (tmp_path / "gate.yaml").write_text("rules: {not-root: error, no-secret-files: error}")
    (listed,) = json.loads(run_airbundle("ls", location, *read, "--json").stdout)["images"]
    digest = listed["digest"]
    failed = {}
    for command in COMMANDS:
        words = {"LOCATION": location, "DIGEST": digest[:19]}
        result = run_airbundle(*(words.get(word, word) for word in command), *read)
        if result.status or not result.stdout:
            failed[command] = result
    assert not failed
    assert run_airbundle("cat", location, digest[7:19], "etc/motd", *read).stdout == "hello\n"


def test_image_of_a_layout_is_found_by_its_own_name(tmp_path: Path, run_airbundle: RunAirbundle):
    names = {NAME: IMAGE, "quay.io/other:1": images.image(), "plain": images.image()}
    images.write_layout(tmp_path / "layout", names)
    for name in (NAME, "app:1", "library/app:1", f"oci:layout:{NAME}", IMAGE.digest[:19]):
        assert run_airbundle("cat", "oci:layout", name, "etc/motd").stdout == "hello\n", name
        assert run_airbundle("why", "oci:layout", name).status == 0
    assert run_airbundle("show", "oci:layout", "plain").status == 0
    assert run_airbundle("show", "oci:layout", "pp:1").status == 9


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("absent", 9, "absent: no such directory"),
        ("empty", 9, "empty: contains no complete bundle: bundle.json is missing"),
        ("layout", 9, "layout: contains no complete bundle: bundle.json is missing"),
        ("a.tar", 2, "a.tar: a file, and not a bundle"),
    ],
)
def test_every_command_reports_a_wrong_path_in_the_same_way(
    tmp_path: Path, run_airbundle: RunAirbundle, path: str, status: int, message: str
):
    images.write_layout(tmp_path / "layout", {NAME: IMAGE})
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.tar").write_bytes(b"")
    (tmp_path / "gate.yaml").write_text("rules: {not-root: error}")
    (tmp_path / "osv.json").write_text("{}")
    commands = [*COMMANDS[:-1], ("vulns", "LOCATION", "--database", "osv.json")]
    commands += [("verify", "LOCATION"), ("serve", "LOCATION", "--port", "0")]
    if path != "a.tar":  # diff also reads files
        commands += [("diff", "LOCATION", "oci:layout")]
    results = {}
    for command in commands:
        words = {"LOCATION": path, "DIGEST": "a" * 12}
        result = run_airbundle(*(words.get(word, word) for word in command))
        results[command[0]] = (result.status, result.stderr.splitlines()[0])
    assert set(results.values()) == {(status, f"airbundle: error: {message}")}, results


@pytest.fixture
def volumes(tmp_path: Path, run_airbundle: RunAirbundle) -> tuple[str, str]:
    """A bundle on two volumes, each of which has the upper layer of one image."""
    tops = [tars.layer(tars.member("data", Random(n).randbytes(300_000))) for n in range(2)]
    named = {
        name: images.image(IMAGE_LAYER, top) for name, top in zip(("a:1", "b:1"), tops, strict=True)
    }
    images.write_layout(tmp_path / "layout", named)
    (tmp_path / "m.txt").write_text("".join(f"oci:./layout:{name}\n" for name in named))
    size = ("--volume-size", str(OVERHEAD + 400_000))
    result = run_airbundle("export", "m.txt", "v1", "--volume", "v2", *size, "--unsigned")
    assert result.status == 0, result.stderr
    return "v1", "v2"


def test_every_command_reads_the_volumes_of_a_bundle(
    volumes: tuple[str, str], tmp_path: Path, run_airbundle: RunAirbundle
):
    (tmp_path / "gate.yaml").write_text("rules: {nothing-unlisted: error, no-secret-files: error}")
    (tmp_path / "osv.json").write_text('{"id": "A-1", "modified": "2026-01-01T00:00:00Z"}')
    commands = [
        ("ls",),
        ("tree",),
        ("why", "a:1"),
        ("show", "a:1"),
        ("files", "b:1"),
        ("cat", "a:1", "/etc/motd"),
        ("find", "--file", "data"),
        ("packages",),
        ("vulns", "b:1", "--database", "osv.json"),
        ("sbom", "b:1"),
        ("audit", "--rules", "gate.yaml", "--report", "report.html"),
        ("diff", *reversed(volumes)),
    ]
    failed = {}
    for name, *rest in commands:
        result = run_airbundle(name, *volumes, *rest)
        if result.status or not result.stdout:
            failed[name] = result
    assert not failed
    compared = run_airbundle("diff", *volumes, *volumes, "a:1", "b:1")
    assert compared.status == 12
    assert "data" in compared.stdout


def test_content_on_a_missing_volume_is_reported_as_missing(
    volumes: tuple[str, str], run_airbundle: RunAirbundle
):
    last = volumes[1]
    assert run_airbundle("ls", last).status == 0
    results = [run_airbundle("files", last, name) for name in ("a:1", "b:1")]
    owed = next(result for result in results if result.status)
    assert (owed.status, "volume 1 of 2 missing" in owed.stderr) == (11, True)
    found = run_airbundle("find", last, "--file", "data")
    assert (found.status, "volume 1 of 2 missing" in found.stderr) == (11, True)
    for options in ((), ("--verify-first",)):
        served = run_airbundle("serve", last, "--allow-unsigned", "--reason", "test", *options)
        assert (served.status, "volume 1 of 2 missing" in served.stderr) == (11, True)


def test_find_searches_the_volumes_of_each_bundle_together(
    volumes: tuple[str, str], tmp_path: Path, run_airbundle: RunAirbundle
):
    for number, name in enumerate(volumes):
        shutil.copytree(tmp_path / name, tmp_path / f"media/{number}/plant")
        shutil.copytree(tmp_path / name, tmp_path / f"media/{number}/second")
    expected = {
        ("media",): {f"media/0/{copy} media/1/{copy}" for copy in ("plant", "second")},
        ("v2", "v1"): {"v2 v1"},
    }
    for locations, found in expected.items():
        result = run_airbundle("find", *locations, "--file", "data", "--json")
        assert result.status == 0, result.stderr
        matches = json.loads(result.stdout)["matches"]
        assert {(match["location"], match["image"][-3:]) for match in matches} == {
            (location, name) for location in found for name in ("a:1", "b:1")
        }
