"""``airbundle undo`` of imports into a real registry, and into one that deletes tags."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.interop import servers

FORMER, NEW = images.image(config={"author": "former"}), images.multi_platform("new", "linux/amd64")
OTHER = images.image(config={"author": "other"})


@pytest.fixture(params=["docker-registry", "deletes tags"])
def host(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "docker-registry":
        yield request.getfixturevalue("registry").host
    else:
        with FakeRegistry() as running:
            yield running.host


@pytest.fixture
def site(airbundle: servers.Client, host: str, repository: str, tmp_path: Path) -> Site:
    return Site(airbundle, f"{host}/{repository}", tmp_path)


class Site:
    """A target with the image ``web:1``, and an import that replaces it and adds ``db:1``."""

    def __init__(self, airbundle: servers.Client, target: str, path: Path) -> None:
        self.airbundle, self.target, self.path = airbundle, target, path
        self.put("web:1", FORMER)
        named = {"quay.io/web:1": NEW, "quay.io/db:1": NEW}
        bundles.write(path / "bundle", named)
        self.run(
            *("import", path / "bundle", f"docker://{target}", "--allow-unsigned"),
            *("--reason", "test", "--existing", "overwrite", "--receipt", path / "receipt"),
        )

    def run(self, *arguments: object, expected: int = 0) -> str:
        options = ("--tls-verify=false", "--records", self.path / "records")
        result = self.airbundle(*arguments, *options)
        assert result.returncode == expected, result.stdout + result.stderr
        return result.stdout

    def undo(self, *options: str, expected: int = 0) -> dict[str, str]:
        """Undo the import, and return the state of each name by its last part."""
        command = ("undo", self.path / "receipt", "--reason", "broken", "--json", *options)
        output = self.run(*command, expected=expected)
        names = json.loads(output)["names"] if output else []
        return {item["name"].rpartition("/")[2]: item["state"] for item in names}

    def put(self, name: str, image: images.Image) -> None:
        layout = images.write_layout(self.path / f"layout-{image.digest[7:15]}", {"a": image})
        self.airbundle.ok(
            *("copy", "--all", "--dest-tls-verify=false", f"oci:{layout}:a"),
            f"docker://{self.target}/{name}",
        )

    def resolve(self, name: str) -> str | None:
        result = self.airbundle(
            "inspect",
            "--tls-verify=false",
            "--format",
            "{{.Digest}}",
            "--no-tags",
            f"docker://{self.target}/{name}",
        )
        return result.stdout.strip() or None


def test_names_point_to_their_former_images_again(
    site: Site, request: pytest.FixtureRequest
) -> None:
    """The docker-registry cannot delete tags."""
    deletes_tags = "deletes tags" in request.node.name
    assert site.resolve("web:1") == NEW.digest
    states = site.undo("--dry-run")
    assert states == {"web:1": "restored", "db:1": "removed"}
    assert site.resolve("web:1") == NEW.digest

    result = site.airbundle(
        *("undo", site.path / "receipt", "--reason", "broken", "--json", "--tls-verify=false"),
        *("--records", site.path / "records"),
    )

    states = {
        item["name"].rpartition("/")[2]: item["state"]
        for item in json.loads(result.stdout)["names"]
    }
    assert site.resolve("web:1") == FORMER.digest
    assert states["web:1"] == "restored"
    assert (site.resolve("db:1") is None) == deletes_tags
    assert states["db:1"] == ("removed" if deletes_tags else "failed")
    assert result.returncode == (0 if deletes_tags else 11)


def test_second_undo_changes_nothing(site: Site) -> None:
    site.airbundle(
        *("undo", site.path / "receipt", "--reason", "a", "--tls-verify=false"),
        *("--records", site.path / "records"),
    )
    assert site.undo("--dry-run")["web:1"] == "unchanged"


def test_name_that_has_changed_since_is_not_touched(site: Site) -> None:
    site.put("web:1", OTHER)
    assert site.undo(expected=10) == {}
    assert site.resolve("db:1") == NEW.digest
    assert site.undo("--keep-going", expected=11)["web:1"] == "moved"
    assert site.resolve("web:1") == OTHER.digest


def test_undo_is_logged(site: Site) -> None:
    site.airbundle(
        *("undo", site.path / "receipt", "--reason", "broken", "--tls-verify=false"),
        *("--records", site.path / "records"),
    )
    shown = site.airbundle("log", "show", "--records", site.path / "records")
    assert "undo" in shown.stdout
    assert "broken" in shown.stdout
    assert site.airbundle("log", "verify", "--records", site.path / "records").returncode == 0


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_interrupted_undo_is_logged(
    airbundle: servers.Client, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    """The log states how many names were changed before; of a killed run, that it began."""
    with FakeRegistry() as registry:
        Site(airbundle, f"{registry.host}/site", tmp_path)
        before = registry.count("DELETE|PUT")
        registry.fail("DELETE|PUT", times=None, delay=5.0)
        command = ("undo", tmp_path / "receipt", "--reason", "broken", "--tls-verify=false")
        program = [*airbundle.command, *map(str, command), "--records", str(tmp_path / "records")]
        with subprocess.Popen(program, env=airbundle.environment) as process:
            while registry.count("DELETE|PUT") == before:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(sent)
            assert process.wait(30) == status
    lines = (tmp_path / "records/log.jsonl").read_bytes().splitlines()
    entries = [json.loads(line) for line in lines]
    events = [entry["event"] for entry in entries]
    if sent == signal.SIGKILL:
        assert events == ["import", "undo-start"]
    else:
        assert events == ["import", "undo-start", "undo"]
        assert entries[2]["failed"] >= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value | {"_type": "airbundle/receipt/v2"},
        lambda value: value | {"target": "oci:inside"},
        lambda value: value | {"target": "docker://UPPER CASE"},
        lambda value: value | {"images": [{"action": "new", "name": "x y"}]},
        lambda value: (
            value
            | {"images": [{"action": "new", "name": "other.example/a:1", "digest": FORMER.digest}]}
        ),
        lambda value: {"images": []},
    ],
    ids=["type", "directory", "target", "name", "host", "members"],
)
def test_other_documents_are_refused(
    airbundle: servers.Client, tmp_path: Path, change: Callable[[dict], dict]
) -> None:
    receipt = {
        "_type": "airbundle/receipt/v1",
        "target": "docker://127.0.0.1:1",
        "images": [],
    }
    (tmp_path / "receipt").write_text(json.dumps(change(receipt)))
    result = airbundle("undo", tmp_path / "receipt", "--reason", "test")
    assert result.returncode in (1, 3)
    assert str(tmp_path / "receipt") in result.stderr
