"""The commands that look into images, at every kind of location in place of a bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images, tars
from tests.fakes.engine import FakeEngine
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = "docker.io/library/app:1"
IMAGE = images.image(
    tars.layer(
        tars.member("lib/apk/db/installed", b"P:one\nV:1.0-r0\nL:MIT\n"),
        tars.member("etc/motd", b"hello\n"),
    ),
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
