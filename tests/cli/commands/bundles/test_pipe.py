"""A bundle in a pipe: exported, and imported while it arrives."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import archives, bundles
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = keys.generate_key(), keys.generate_key()
_MAIN = [sys.executable, "-c", "from bundler.cli.main import main; main()"]


class Site:
    """A directory with keys, in which both commands run."""

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.path, self.environment = path, environment
        (path / "k.key").write_bytes(KEY.to_pem(None))
        (path / "k.key").chmod(0o600)
        (path / "k.pub").write_bytes(KEY.public.to_pem())

    def run(self, *arguments: str, stream: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*_MAIN, *arguments],
            cwd=self.path,
            env=self.environment,
            input=stream,
            capture_output=True,
            check=False,
        )

    def import_(self, stream: bytes, target: str = "oci:inside", *options: str):
        result = self.run("import", "-", target, "--key", "k.pub", *options, stream=stream)
        return result.returncode, result.stderr.decode()

    @property
    def names(self) -> set[str]:
        index = self.path / "inside/index.json"
        if not index.exists():
            return set()
        entries = json.loads(index.read_bytes())["manifests"]
        return {item["annotations"]["org.opencontainers.image.ref.name"] for item in entries}


@pytest.fixture
def site(work_dir: Path, hermetic_environment: dict[str, str]) -> Site:
    return Site(work_dir, hermetic_environment)


@pytest.fixture
def stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A signed archive, written independently."""
    path = tmp_path_factory.mktemp("stream") / "a.airbundle"
    return archives.write(path, (KEY,)).read_bytes()


NAMES = {"library/nginx:1.27", "infra/app:v2.1"}


def test_exported_stream_is_imported_and_is_an_archive(site: Site):
    exported = site.run("export", "ward.yaml", "-", "--sign-key", "k.key")
    assert exported.returncode == 0, exported.stderr
    assert site.import_(exported.stdout)[0] == 0
    assert site.names == {"web:1", "tool:2"}
    (site.path / "same.airbundle").write_bytes(exported.stdout)
    assert site.run("verify", "same.airbundle", "--key", "k.pub").returncode == 0


def test_stream_of_another_program_is_imported_into_a_registry(site: Site, stream: bytes):
    with FakeRegistry() as registry:
        target = f"docker://{registry.host}/mirror"
        status, message = site.import_(stream, target, "--tls-verify=false")
        assert status == 0, message
        again, message = site.import_(stream, target, "--tls-verify=false")
        assert again == 0, message


def test_shared_layer_is_read_from_the_registry_if_it_mounts_nothing(site: Site, stream: bytes):
    """A shared layer arrives once, and two repositories need it."""
    with FakeRegistry(mounts=False) as registry:
        target = f"docker://{registry.host}/mirror"
        status, message = site.import_(stream, target, "--tls-verify=false")
        assert status == 0, message


def test_only_requested_images_are_imported(site: Site, stream: bytes):
    assert site.import_(stream, "oci:inside", "--only", "nginx")[0] == 0
    assert site.names == {"library/nginx:1.27"}


@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_cut_stream_changes_no_name(site: Site, stream: bytes, part: float):
    whole = len(stream.rstrip(b"\0"))
    status, message = site.import_(stream[: int(whole * part)])
    assert status == 3, message
    assert not site.names


def test_stream_without_a_trusted_plan_is_refused_before_anything_is_pushed(
    site: Site, stream: bytes
):
    (site.path / "k.pub").write_bytes(OTHER.public.to_pem())
    assert site.import_(stream)[0] == 4
    assert not (site.path / "inside").exists()


def test_changed_plan_is_refused(site: Site, stream: bytes):
    assert site.import_(stream.replace(b"infra/app", b"infra/apq", 1))[0] == 4


def test_changed_inventory_changes_no_name(site: Site, stream: bytes):
    place = stream.rindex(b"infra/app")
    changed = stream[:place] + stream[place:].replace(b"infra/app", b"infra/apq", 1)
    assert site.import_(changed)[0] == 4
    assert not site.names


def test_inventory_of_another_bundle_changes_no_name(site: Site, stream: bytes, tmp_path: Path):
    """Both are signed by the same key, and have the same content."""
    other = bundles.write(tmp_path / "other", keys=(KEY,), serial=1795417201)
    members = archives.list_members(other, (KEY,))
    first = archives.list_members(bundles.write(tmp_path / "first", keys=(KEY,)), (KEY,))
    front = [item for item in first if item[0].startswith("plan.json") or item[0] == "CONTENTS"]
    status, message = site.import_(archives.pack(front + members[len(front) :]))
    assert status == 3
    assert "another bundle" in message
    assert not site.names


def test_changed_layer_changes_no_name(site: Site, stream: bytes):
    place = stream.index(b"\x1f\x8b") + 20
    changed = stream[:place] + bytes([stream[place] ^ 1]) + stream[place + 1 :]
    assert site.import_(changed)[0] == 3
    assert not site.names


def test_older_bundle_is_refused_before_anything_is_pushed(
    site: Site, stream: bytes, tmp_path: Path
):
    assert site.import_(stream)[0] == 0
    older = bundles.write(tmp_path / "older", keys=(KEY,), serial=1795417100)
    status, message = site.import_(archives.pack(archives.list_members(older, (KEY,))), "oci:old")
    assert status == 4, message
    assert not (site.path / "old").exists()


def test_options_that_need_a_file_are_refused(site: Site, stream: bytes):
    assert site.import_(stream, "oci:inside", "--dry-run")[0] == 2
    assert site.import_(stream, "oci:inside", "--verify-first")[0] == 2


def test_pipe_is_verified_like_a_file(site: Site, stream: bytes):
    (site.path / "same.airbundle").write_bytes(stream)
    results = [
        site.run("verify", name, "--key", "k.pub", stream=stream)
        for name in ("-", "same.airbundle")
    ]
    assert results[0].returncode == 0, results[0].stderr
    assert results[0].stdout == results[1].stdout
    assert {path.name for path in site.path.iterdir()} >= {"same.airbundle", "layout"}
    listed = site.run("ls", "-", "--key", "k.pub", stream=stream)
    assert b"library/nginx:1.27" in listed.stdout


@pytest.mark.parametrize(
    ("damage", "status"), [("layer", 3), ("plan", 3), ("inventory", 4), ("cut", 3), ("other", 4)]
)
def test_damage_in_a_pipe_is_found(site: Site, stream: bytes, damage: str, status: int):
    changed = bytearray(stream)
    if damage == "layer":
        changed[stream.index(b"\x1f\x8b") + 20] ^= 1
    elif damage == "plan":
        stream = site.run("export", "ward.yaml", "-", "--sign-key", "k.key").stdout
        changed = bytearray(stream)
        changed[stream.index(b'"created"') + 12] ^= 1
    elif damage == "inventory":
        changed[stream.rindex(b"infra/app") + 7] ^= 1
    elif damage == "cut":
        del changed[-3000:]
    else:
        (site.path / "k.pub").write_bytes(OTHER.public.to_pem())
    result = site.run("verify", "-", "--key", "k.pub", stream=bytes(changed))
    assert result.returncode == status, result.stderr


def test_rehearsal_needs_a_file(site: Site, stream: bytes):
    assert site.run("verify", "-", "--offline", "--key", "k.pub", stream=stream).returncode == 2


def test_pipe_leaves_out_what_its_target_has(site: Site):
    first = site.run("export", "ward.yaml", "-", "--sign-key", "k.key").stdout
    assert site.import_(first)[0] == 0
    held = site.run("holdings", "oci:inside", "-o", "held", "--unsigned")
    assert held.returncode == 0, held.stderr
    options = ("--have", "held", "--allow-unsigned-have")
    second = site.run("export", "ward.yaml", "-", "--sign-key", "k.key", *options).stdout
    assert b"presupposed.txt" in second
    assert second.count(b"\x1f\x8b") < first.count(b"\x1f\x8b")
    assert site.import_(second)[0] == 0
    assert site.import_(second, "oci:empty")[0] == 9
    assert not (site.path / "empty/index.json").exists()
    place = second.index(b"sha256:", second.index(b"presupposed.txt"))
    other = second[:place] + b"sha256:" + b"0" * 64 + second[place + 71 :]
    assert site.import_(other, "oci:empty")[0] != 0
    assert not (site.path / "empty/index.json").exists()
