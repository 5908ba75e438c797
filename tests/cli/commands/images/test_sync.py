"""``airbundle sync`` among registries, directories, layouts and lists in YAML."""

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


def test_all_tags_go_over_and_a_second_run_asks_one_question_for_each(
    run_airbundle, source, target
):
    arguments = ("sync", "-s", "docker", "-d", "docker", *PLAIN, f"{source.host}/team/app")
    first = run_airbundle(*arguments, target.host)
    assert first.status == 0, first.stderr
    assert target.repository("app").tags == source.repository("team/app").tags
    assert source.count("GET", "/blobs/") == 6 + 5  # layers, one of them shared, and configs
    target.requests.clear()
    again = run_airbundle(*arguments, target.host)
    assert again.stdout.count("already there\n") == 5
    assert [one.method for one in target.asked(".*", "app/")] == ["HEAD"] * 5


@pytest.mark.parametrize("kind", ["docker", "yaml"])
def test_options_for_both_sides_need_no_option_for_one_side(
    run_airbundle, target, tmp_path, kind: str
):
    with FakeRegistry(auth="basic") as private:
        private.add_image("app", "1")
        entry = {"auth": base64.b64encode(b"user:password").decode()}
        (tmp_path / "auth.json").write_text(json.dumps({"auths": {private.host: entry}}))
        (tmp_path / "sync.yml").write_text(f"{private.host}: {{images: {{app: ['1']}}}}")
        both = ("--tls-verify=false", "--authfile=auth.json")
        place = "sync.yml" if kind == "yaml" else f"{private.host}/app:1"
        done = run_airbundle("sync", "-s", kind, "-d", "docker", *both, place, target.host)
    assert done.status == 0, done.stderr
    assert set(target.repository("app").tags) == {"1"}


@pytest.mark.parametrize("side", ["src", "dest"])
def test_option_for_one_side_overrides_the_same_option_for_both_sides(
    run_airbundle, source, target, side: str
):
    flags = ("--tls-verify=false", f"--{side}-tls-verify=true")
    place = f"{source.host}/team/multi:1"
    done = run_airbundle("sync", "-s", "docker", "-d", "docker", *flags, place, target.host)
    assert done.status == 6
    assert (source.host if side == "src" else target.host) in done.stderr


def test_many_repositories_are_selected_in_a_file(run_airbundle, source, target, tmp_path):
    (tmp_path / "sync.yml").write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        "  images: {team/multi: []}\n"
        "  images-by-tag-regex: {team/app: '[12]$'}\n"
        "  images-by-semver: {team/app: '>= 3'}\n"
    )
    done = run_airbundle(
        "sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "--scoped",
        "--names", f"{source.host}/team=mirror", "sync.yml", target.host,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert set(target.repository("mirror/app").tags) == {"v1", "v2", "v3", "v4"}
    assert target.repository("mirror/multi").tags == {"1": INDEX.digest}


def test_credentials_of_the_file_go_to_its_registry_only(run_airbundle, target, tmp_path):
    with FakeRegistry(auth="basic") as private:
        private.add_image("app", "1")
        (tmp_path / "sync.yml").write_text(
            f"{private.host}:\n"
            "  tls-verify: false\n"
            "  credentials: {username: user, password: password}\n"
            "  images: {app: ['1']}\n"
        )
        done = run_airbundle(
            "sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml", target.host
        )
    assert done.status == 0, done.stderr
    assert not any("Authorization" in one.headers for one in target.requests)


def test_mistakes_in_the_file_stop_it_before_anything_moves(
    run_airbundle, source, target, tmp_path
):
    (tmp_path / "sync.yml").write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        "  images: {team/multi: []}\n"
        "  images-by-tag-regex: {team/app: '('}\n"
        "  images-by-semver: {team/app: new}\n"
    )
    arguments = ("sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml")
    done = run_airbundle(*arguments, "--keep-going", target.host)
    assert done.status == 2
    assert "sync.yml:4:" in done.stderr
    assert "sync.yml:5:" in done.stderr
    assert not target.repositories
    skopeo = ("--as", "skopeo", "--insecure-policy")
    lenient = run_airbundle(*skopeo, *arguments, "--all", target.host)
    assert lenient.status == 0, lenient.stderr
    assert target.repository("multi").tags == {"1": INDEX.digest}


def test_what_cannot_be_listed_or_copied_is_told_at_the_end(
    run_airbundle, source, target, tmp_path
):
    (tmp_path / "sync.yml").write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        "  images: {absent: [], team/app: [v0, v9], team/multi: ['1']}\n"
    )
    arguments = ("sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml")
    assert run_airbundle(*arguments, target.host).status == 9
    assert not target.repositories
    done = run_airbundle(*arguments, "--keep-going", "--digestfile", "digests", target.host)
    assert done.status == 11
    assert f"{source.host}/absent" in done.stderr
    assert f"{source.host}/team/app" in done.stderr
    assert "v9" in done.stderr
    assert set(target.repositories) == {"app", "multi"}
    assert (tmp_path / "digests").read_text().splitlines() == [
        f"{source.repository('team/app').tags['v0']} docker://{target.host}/app:v0",
        f"{INDEX.digest} docker://{target.host}/multi:1",
    ]


def test_a_run_again_moves_only_what_a_directory_lacks(run_airbundle, source, tmp_path):
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
def test_images_go_into_a_local_place_and_out_again(run_airbundle, source, target, kind, tmp_path):
    into = run_airbundle(
        "sync", "-s", "docker", "-d", kind, "--src-tls-verify=false", f"{source.host}/team/app", "x"
    )
    assert into.status == 0, into.stderr
    out = run_airbundle(
        "sync", "-s", kind, "-d", "docker", "--dest-tls-verify=false", "x", target.host
    )
    assert out.status == 0, out.stderr
    assert target.repository("app").tags == source.repository("team/app").tags


def test_a_dry_run_tells_and_writes_nothing(run_airbundle, source, target, tmp_path):
    arguments = ("sync", "-s", "docker", *PLAIN, "--dry-run", "--json", f"{source.host}/team/app")
    done = run_airbundle(*arguments, "-d", "docker", target.host)
    assert [one["state"] for one in json.loads(done.stdout)["images"]] == ["new"] * 5
    assert not any(one.method in ("POST", "PUT", "PATCH") for one in target.requests)
    arguments = ("sync", "-s", "docker", "--src-tls-verify=false", "--dry-run")
    done = run_airbundle(*arguments, f"{source.host}/team/app", "-d", "dir", "out")
    assert done.status == 0, done.stderr
    assert not (tmp_path / "out").exists()


def test_one_platform_of_each_list(run_airbundle, source, target):
    done = run_airbundle(
        "--override-arch=arm64", "sync", "-s", "docker", "-d", "docker", *PLAIN,
        "--multi-arch=system", f"{source.host}/team/multi:1", target.host,
    )  # fmt: skip
    assert done.status == 0, done.stderr
    assert target.repository("multi").tags == {"1": INDEX.children[1].digest}


def test_two_images_with_one_name_are_refused_before_anything_moves(
    run_airbundle, source, target, tmp_path
):
    source.add_image("other/app", "v1", [b"other"])
    (tmp_path / "sync.yml").write_text(
        f"{source.host}: {{tls-verify: false, images: {{team/app: [v1], other/app: [v1]}}}}"
    )
    arguments = ("sync", "-s", "yaml", "-d", "docker", "--dest-tls-verify=false", "sync.yml")
    done = run_airbundle(*arguments, target.host)
    assert done.status == 10
    assert "--scoped" in done.stderr
    assert not target.repositories


def test_links_in_a_tree_are_not_followed(run_airbundle, target, tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "loop").symlink_to(tmp_path / "tree")
    done = run_airbundle(
        "sync", "-s", "dir", "-d", "docker", "--dest-tls-verify=false", "tree", target.host
    )
    assert done.status == 9
    assert "no images" in done.stderr
