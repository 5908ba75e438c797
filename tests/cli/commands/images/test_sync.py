"""``airbundle sync`` between registries, directories, layouts and YAML lists."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")
INDEX = images.multi_platform("multi", "linux/amd64", "linux/arm64")


@pytest.fixture
def source() -> Iterator[FakeRegistry]:
    with FakeRegistry(page_size=2) as running:
        for number in range(5):
            running.add_image("team/app", f"v{number}", [b"shared" * 100, b"%d" % number])
        images.push(running.host, "team/multi", INDEX, "1")
        running.requests.clear()
        yield running


@pytest.fixture
def target() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


def test_sync_copies_all_tags_and_repeats_with_one_request_per_tag(run_airbundle, source, target):
    arguments = ("sync", "-s", "docker", "-d", "docker", *PLAIN, f"{source.host}/team/app")
    first = run_airbundle(*arguments, target.host)
    assert first.status == 0, first.stderr
    assert target.repository("app").tags == source.repository("team/app").tags
    assert source.count("GET", "/blobs/") == 6 + 5  # layers, one of them shared, and configs
    target.requests.clear()
    again = run_airbundle(*arguments, target.host)
    assert again.stdout.count("already present\n") == 5
    assert [request.method for request in target.find_requests(".*", "app/")] == ["HEAD"] * 5


@pytest.mark.parametrize("kind", ["docker", "yaml"])
def test_access_options_apply_to_both_sides(run_airbundle, target, tmp_path, kind: str):
    with FakeRegistry(auth="basic") as private:
        private.add_image("app", "1")
        entry = {"auth": base64.b64encode(b"user:password").decode()}
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {private.host: entry}}))
        (tmp_path / "sync.yml").write_text(f"{private.host}: {{images: {{app: ['1']}}}}")
        both = ("--tls-verify=false", "--authfile=auth.json")
        place = "sync.yml" if kind == "yaml" else f"{private.host}/app:1"
        result = run_airbundle("sync", "-s", kind, "-d", "docker", *both, place, target.host)
    assert result.status == 0, result.stderr
    assert set(target.repository("app").tags) == {"1"}


@pytest.mark.parametrize("side", ["src", "dest"])
def test_option_of_one_side_overrides_option_of_both_sides(
    run_airbundle, source, target, side: str
):
    flags = ("--tls-verify=false", f"--{side}-tls-verify=true")
    place = f"{source.host}/team/multi:1"
    result = run_airbundle("sync", "-s", "docker", "-d", "docker", *flags, place, target.host)
    assert result.status == 6
    assert (source.host if side == "src" else target.host) in result.stderr


def test_sync_copies_repositories_of_yaml_list(run_airbundle, source, target, tmp_path):
    (tmp_path / "sync.yml").write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        "  images: {team/multi: []}\n"
        "  images-by-tag-regex: {team/app: '[12]$'}\n"
        "  images-by-semver: {team/app: '>= 3'}\n"
    )
    result = run_airbundle(
        "sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "--scoped",
        "--names", f"{source.host}/team=mirror", "sync.yml", target.host,
    )  # fmt: skip
    assert result.status == 0, result.stderr
    assert set(target.repository("mirror/app").tags) == {"v1", "v2", "v3", "v4"}
    assert target.repository("mirror/multi").tags == {"1": INDEX.digest}


def test_credentials_of_yaml_list_are_sent_only_to_their_registry(run_airbundle, target, tmp_path):
    with FakeRegistry(auth="basic") as private:
        private.add_image("app", "1")
        (tmp_path / "sync.yml").write_text(
            f"{private.host}:\n"
            "  tls-verify: false\n"
            "  credentials: {username: user, password: password}\n"
            "  images: {app: ['1']}\n"
        )
        result = run_airbundle(
            "sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml", target.host
        )
    assert result.status == 0, result.stderr
    assert not any("authorization" in request.headers for request in target.requests)


def test_sync_refuses_malformed_yaml_list_before_any_copy(run_airbundle, source, target, tmp_path):
    (tmp_path / "sync.yml").write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        "  images: {team/multi: []}\n"
        "  images-by-tag-regex: {team/app: '('}\n"
        "  images-by-semver: {team/app: new}\n"
    )
    arguments = ("sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml")
    result = run_airbundle(*arguments, "--keep-going", target.host)
    assert result.status == 2
    assert "sync.yml:4:" in result.stderr
    assert "sync.yml:5:" in result.stderr
    assert not target.repositories
    skopeo = ("--as", "skopeo", "--insecure-policy")
    lenient = run_airbundle(*skopeo, *arguments, "--all", target.host)
    assert lenient.status == 0, lenient.stderr
    assert target.repository("multi").tags == {"1": INDEX.digest}


def test_keep_going_reports_failures_at_end(run_airbundle, source, target, tmp_path):
    (tmp_path / "sync.yml").write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        "  images: {absent: [], team/app: [v0, v9], team/multi: ['1']}\n"
    )
    arguments = ("sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml")
    assert run_airbundle(*arguments, target.host).status == 9
    assert not target.repositories
    result = run_airbundle(*arguments, "--keep-going", "--digestfile", "digests", target.host)
    assert result.status == 11
    assert f"{source.host}/absent" in result.stderr
    assert f"{source.host}/team/app" in result.stderr
    assert "v9" in result.stderr
    assert set(target.repositories) == {"app", "multi"}
    assert (tmp_path / "digests").read_text().splitlines() == [
        f"{source.repository('team/app').tags['v0']} docker://{target.host}/app:v0",
        f"{INDEX.digest} docker://{target.host}/multi:1",
    ]


def test_repeated_sync_copies_only_what_directory_lacks(run_airbundle, source, tmp_path):
    arguments = ("sync", "-s", "docker", "-d", "dir", "--src-tls-verify=false")
    assert run_airbundle(*arguments, f"{source.host}/team/app", "out").status == 0
    (tmp_path / "out" / "app:v3" / "manifest.json").unlink()
    layer = max((tmp_path / "out" / "app:v1").iterdir(), key=lambda path: path.stat().st_size)
    layer.write_bytes(b"x" * layer.stat().st_size)
    source.requests.clear()
    again = run_airbundle(*arguments, f"{source.host}/team/app", "out")
    assert again.status == 0, again.stderr
    assert source.count("GET", "/blobs/") == 1
    assert (tmp_path / "out" / "app:v3" / "manifest.json").is_file()
    skopeo = ("--as", "skopeo", "--insecure-policy")
    refused = run_airbundle(*skopeo, *arguments, f"{source.host}/team/app", "out")
    assert refused.status == 1
    assert "out/app:v0" in refused.stderr


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "dir"])
def test_sync_writes_and_reads_local_transports(run_airbundle, source, target, kind, tmp_path):
    into = run_airbundle(
        "sync", "-s", "docker", "-d", kind, "--src-tls-verify=false", f"{source.host}/team/app", "x"
    )
    assert into.status == 0, into.stderr
    out = run_airbundle(
        "sync", "-s", kind, "-d", "docker", "--dest-tls-verify=false", "x", target.host
    )
    assert out.status == 0, out.stderr
    assert target.repository("app").tags == source.repository("team/app").tags


def test_dry_run_reports_images_and_writes_nothing(run_airbundle, source, target, tmp_path):
    arguments = ("sync", "-s", "docker", *PLAIN, "--dry-run", "--json", f"{source.host}/team/app")
    result = run_airbundle(*arguments, "-d", "docker", target.host)
    assert [request["state"] for request in json.loads(result.stdout)["images"]] == ["new"] * 5
    assert not any(request.method in ("POST", "PUT", "PATCH") for request in target.requests)
    arguments = ("sync", "-s", "docker", "--src-tls-verify=false", "--dry-run")
    result = run_airbundle(*arguments, f"{source.host}/team/app", "-d", "dir", "out")
    assert result.status == 0, result.stderr
    assert not (tmp_path / "out").exists()


def test_sync_of_system_platform_copies_one_manifest_per_index(run_airbundle, source, target):
    result = run_airbundle(
        "--override-arch=arm64", "sync", "-s", "docker", "-d", "docker", *PLAIN,
        "--multi-arch=system", f"{source.host}/team/multi:1", target.host,
    )  # fmt: skip
    assert result.status == 0, result.stderr
    assert target.repository("multi").tags == {"1": INDEX.children[1].digest}


def test_sync_refuses_two_images_with_one_name(run_airbundle, source, target, tmp_path):
    source.add_image("other/app", "v1", [b"other"])
    (tmp_path / "sync.yml").write_text(
        f"{source.host}: {{tls-verify: false, images: {{team/app: [v1], other/app: [v1]}}}}"
    )
    arguments = ("sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml")
    result = run_airbundle(*arguments, target.host)
    assert result.status == 10
    assert "--scoped" in result.stderr
    assert not target.repositories


def test_sync_does_not_follow_symlinks(run_airbundle, target, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "loop").symlink_to(tmp_path / "tree")
    result = run_airbundle(
        "sync", "-s", "dir", "-d", "docker", "--dest-tls-verify=false", "tree", target.host
    )
    assert result.status == 9
    assert "no images" in result.stderr
