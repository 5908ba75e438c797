"""``sync`` produces the trees, tags and digests of Skopeo's ``sync``, and extends it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers
from tests.interop.written_files import read_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS = ("1.9.0", "1.10.2", "2.0.0-rc1", "2.0.0", "edge")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Registry]:
    """``team/app`` with several tags that share a layer, and ``other/app`` with one."""
    with servers.registry(tmp_path_factory.mktemp("sync-source")) as running:
        shared = images.layer({"shared": b"x" * 100_000})
        for number, tag in enumerate(TAGS):
            own = images.layer({f"own-{number}": tag.encode() * 100})
            images.push(running.host, "team/app", images.image(shared, own), tag)
        images.push(running.host, "other/app", images.image(shared), "1.0")
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Iterator[servers.Registry]:
    with servers.registry(tmp_path / "sync-target") as running:
        yield running


def find_tags(skopeo: servers.Client, repository: str) -> dict[str, str]:
    """Return each tag and its digest."""
    listed = json.loads(skopeo.ok("list-tags", "--tls-verify=false", f"docker://{repository}"))
    return {
        tag: skopeo.ok(
            "inspect", "--tls-verify=false", "--format={{.Digest}}", f"docker://{repository}:{tag}"
        ).strip()
        for tag in listed["Tags"]
    }


PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")


@pytest.mark.parametrize("scoped", [(), ("--scoped",)])
def test_sync_of_repository_writes_tree_of_skopeo(airbundle, skopeo, source, tmp_path, scoped):
    arguments = ("--src", "docker", "--dest", "dir", *scoped, f"{source.host}/team/app")
    skopeo.ok("sync", "--src-tls-verify=false", *arguments, tmp_path / "theirs")
    airbundle.ok("sync", "--src-tls-verify=false", *arguments, tmp_path / "ours")
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")
    assert len(read_files(tmp_path / "ours")) == 5 * 5


def test_sync_of_tag_and_digest_writes_tree_of_skopeo(airbundle, skopeo, source, tmp_path):
    digest = find_tags(skopeo, f"{source.host}/team/app")["edge"]
    for reference in (f"{source.host}/team/app:edge", f"{source.host}/team/app@{digest}"):
        arguments = ("sync", "-s", "docker", "-d", "dir", "--src-tls-verify=false", reference)
        skopeo.ok(*arguments, tmp_path / "theirs")
        airbundle.ok(*arguments, tmp_path / "ours")
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")
    assert (tmp_path / "ours" / f"app@{digest}" / "version").is_file()


def test_sync_copies_repository_to_other_registry(airbundle, skopeo, source, target, tmp_path):
    host = target.host
    arguments = ("-s", "docker", "-d", "docker", *PLAIN, f"{source.host}/team/app")
    skopeo.ok("sync", *arguments, f"{host}/theirs")
    digests = tmp_path / "digests"
    airbundle.ok("sync", *arguments, f"{host}/ours", "--digestfile", digests)
    there = find_tags(skopeo, f"{host}/ours/app")
    assert (
        there
        == find_tags(skopeo, f"{host}/theirs/app")
        == find_tags(skopeo, f"{source.host}/team/app")
    )
    assert sorted(digests.read_text().splitlines()) == sorted(
        f"{digest} docker://{host}/ours/app:{tag}" for tag, digest in there.items()
    )


def test_sync_copies_tree_into_registry(airbundle, skopeo, source, target, tmp_path):
    tree = tmp_path / "tree"
    skopeo.ok(
        "sync", "-s", "docker", "-d", "dir", "--scoped", "--src-tls-verify=false",
        f"{source.host}/team/app", tree,
    )  # fmt: skip
    scoped = f"{source.host}/team".replace(":", "-")
    arguments = ("-s", "dir", "-d", "docker", "--dest-tls-verify=false", tree)
    skopeo.ok("sync", *arguments, f"{target.host}/theirs")
    airbundle.ok("sync", *arguments, f"{target.host}/ours", "--append-suffix=-mirror")
    theirs = find_tags(skopeo, f"{target.host}/theirs/app")
    assert find_tags(skopeo, f"{target.host}/ours/app") == {
        f"{tag}-mirror": digest for tag, digest in theirs.items()
    }
    airbundle.ok(
        "sync", *arguments, target.host, "--scoped", "--names", f"{source.host}/team={scoped}"
    )
    assert find_tags(skopeo, f"{target.host}/{scoped}/app") == theirs


def test_yaml_list_selects_tags_expressions_and_digests(airbundle, skopeo, source, tmp_path):
    digest = find_tags(skopeo, f"{source.host}/team/app")["edge"]
    file = tmp_path / "sync.yml"
    file.write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        f"  images: {{other/app: [], team/app: [edge, '{digest}']}}\n"
        "  images-by-tag-regex: {team/app: '^2\\.0\\.0$'}\n"
    )
    for name, client in (("theirs", skopeo), ("ours", airbundle)):
        client.ok("sync", "-s", "yaml", "-d", "dir", "--scoped", file, tmp_path / name)
    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")
    found = {path.name for path in (tmp_path / "ours" / source.host / "team").iterdir()}
    assert found == {"app:edge", f"app@{digest}", "app:2.0.0"}


def test_yaml_list_selects_versions(airbundle, source, tmp_path):
    """As in Skopeo since 1.13."""
    file = tmp_path / "sync.yml"
    file.write_text(
        f"{source.host}:\n"
        "  tls-verify: false\n"
        "  images-by-semver: {team/app: '>= 1.9, != 1.9.0, < 3'}\n"
    )
    airbundle.ok("sync", "-s", "yaml", "-d", "dir", file, tmp_path / "ours")
    assert {path.name for path in (tmp_path / "ours").iterdir()} == {"app:1.10.2", "app:2.0.0"}


@pytest.mark.parametrize("name", ["airbundle", "skopeo-name", "skopeo"])
def test_images_with_one_directory_never_replace_each_other(clients, source, tmp_path, name):
    """Skopeo refuses the second image, and airbundle refuses both before anything is copied."""
    file, output = tmp_path / "sync.yml", tmp_path / "out"
    images.push(source.host, "third/app", images.image(images.layer({"third": b"3"})), "1.0")
    file.write_text(
        f"{source.host}:\n  tls-verify: false\n"
        "  images: {other/app: ['1.0'], third/app: ['1.0']}\n"
    )
    completed = clients(name)("sync", "-s", "yaml", "-d", "dir", file, output)
    assert completed.returncode == (10 if name == "airbundle" else 1)
    if name != "airbundle":
        refused = f'Refusing to overwrite destination directory \\"{output}/app:1.0\\"'
        assert refused in completed.stderr
    if name != "skopeo":
        assert not output.exists()


@pytest.mark.parametrize(
    "text",
    [
        "- {host}",
        "{host}: [a]",
        "{host}: {images: [team/app]}",
        "{host}: {images: {other/app: ['1.0'], team/app: edge}}",
        "{host}: {images: {other/app: ['1.0'], team/app: [[edge]]}}",
        "{host}: {images: {other/app: ['1.0']}, images-by-tag-regex: {team/app: [edge]}}",
        "{host}: {images: {other/app: ['1.0']}, tls-verify: [false]}",
        "{host}: {images: {other/app: ['1.0']}, cert-dir: [a]}",
        "{host}: {images: {other/app: ['1.0']}, credentials: name}",
        "{host}: {images: {other/app: ['1.0']}, credentials: {username: [a], password: b}}",
    ],
)
@pytest.mark.parametrize("name", ["airbundle", "skopeo-name", "skopeo"])
def test_malformed_yaml_list_is_refused_before_anything_is_copied(
    clients, source, tmp_path, name, text
):
    file, output = tmp_path / "sync.yml", tmp_path / "out"
    file.write_text(text.replace("{host}", f"'{source.host}'") + "\n")
    completed = clients(name)(
        "sync", "--src-tls-verify=false", "-s", "yaml", "-d", "dir", file, output
    )
    assert completed.returncode == (2 if name == "airbundle" else 1)
    if name != "airbundle":
        assert "Failed to unmarshal" in completed.stderr
    assert not output.exists()


@pytest.mark.parametrize("name", ["airbundle", "skopeo-name"])
def test_yaml_list_with_a_key_twice_is_refused_before_anything_is_copied(
    clients, source, tmp_path, name
):
    """As in recent versions of Skopeo; older ones use the last one."""
    file, output = tmp_path / "sync.yml", tmp_path / "out"
    images_key = "  images: {other/app: ['1.0']}\n"
    file.write_text(f"'{source.host}':\n{images_key}{images_key}")
    completed = clients(name)(
        "sync", "--src-tls-verify=false", "-s", "yaml", "-d", "dir", file, output
    )
    assert completed.returncode == (2 if name == "airbundle" else 1)
    assert not output.exists()


@pytest.mark.parametrize("name", ["skopeo-name", "skopeo"])
def test_invalid_entries_of_a_yaml_list_are_skipped_under_the_name_of_skopeo(
    clients, source, tmp_path, name
):
    file, output = tmp_path / "sync.yml", tmp_path / "out"
    file.write_text(
        f"'{source.host}':\n  unknown: 1\n  tls-verify: false\n"
        "  images: {Invalid/App: [a], other/app: ['1.0', null, '!']}\n"
        "  images-by-tag-regex: {team/app: '('}\n'other.example':\n"
    )
    completed = clients(name)(
        "sync", "--src-tls-verify=false", "-s", "yaml", "-d", "dir", file, output
    )
    assert completed.returncode == 0, completed.stderr
    assert [path.name for path in output.iterdir()] == ["app:1.0"]


def test_repeated_sync_copies_nothing(airbundle, source, target):
    arguments = (
        "sync", "-s", "docker", "-d", "docker", *PLAIN, f"{source.host}/team/app", target.host,
    )  # fmt: skip
    assert airbundle.ok(*arguments).count("copied") == len(TAGS)
    again = airbundle.ok(*arguments)
    present = [line for line in again.splitlines() if line.endswith("already present")]
    assert len(present) == len(TAGS)
    assert "transferred: 0 B" in again


def test_killed_sync_resumes(airbundle, skopeo, source, tmp_path):
    arguments = (
        "sync", "-s", "docker", "-d", "dir", "--src-tls-verify=false", f"{source.host}/team/app",
    )  # fmt: skip
    ours = tmp_path / "ours"
    with airbundle.start(*arguments, ours) as process:
        deadline = time.monotonic() + 30
        while not list(ours.glob("*/*")) and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        process.wait()
    airbundle.ok(*arguments, ours)
    assert "transferred: 0 B" in airbundle.ok(*arguments, ours)
    skopeo.ok(*arguments, tmp_path / "theirs")
    assert read_files(ours) == read_files(tmp_path / "theirs")


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_sync_writes_and_reads_layout_with_many_images(
    airbundle, skopeo, source, target, tmp_path, kind
):
    destination = tmp_path / "synced"
    airbundle.ok(
        "sync", "-s", "docker", "-d", kind, "--src-tls-verify=false",
        f"{source.host}/team/app", destination,
    )  # fmt: skip
    skopeo.ok("copy", f"{kind}:{destination}:app:1.10.2", f"dir:{tmp_path / 'one'}")
    airbundle.ok(
        "sync", "-s", kind, "-d", "docker", "--dest-tls-verify=false", destination, target.host
    )
    assert find_tags(skopeo, f"{target.host}/app") == find_tags(skopeo, f"{source.host}/team/app")


@pytest.mark.kernel("owners")
def test_sync_writes_and_reads_containers_storage(airbundle, skopeo, source, tmp_path):
    storage = f"[vfs@{tmp_path}/root+{tmp_path}/run]"
    sync = ("sync", "--src-tls-verify=false", "-d", "containers-storage")
    airbundle.ok(*sync, "-s", "docker", f"{source.host}/team/app", f"{storage}localhost/mirror")
    for tag in TAGS:
        skopeo.ok("inspect", f"containers-storage:{storage}localhost/mirror/app:{tag}")
    airbundle.ok("sync", "-s", "containers-storage", "-d", "oci", storage, tmp_path / "layout")
    index = json.loads((tmp_path / "layout" / "index.json").read_bytes())
    names = {
        entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]
    }
    assert names == {f"app:{tag}" for tag in TAGS}
    assert airbundle.ok(
        *sync, "-s", "docker", f"{source.host}/team/app", f"{storage}localhost/mirror"
    ).count("already present\n") == len(TAGS)


def test_output_under_name_skopeo_matches_skopeo(airbundle, skopeo, source, target, tmp_path):
    """Runs twice, the second time into existing directories: the same lines, log and status."""
    for kind, destination in (("docker", target.host), ("dir", tmp_path)) * 2:
        arguments = ("sync", *PLAIN, "-s", "docker", "-d", kind, f"{source.host}/team/app")
        theirs = skopeo(*arguments, f"{destination}/theirs")
        ours = airbundle("--as", "skopeo", "--insecure-policy", *arguments, f"{destination}/ours")
        assert ours.returncode == theirs.returncode
        assert remove_variable_parts(ours.stderr, "ours") == remove_variable_parts(
            theirs.stderr, "theirs"
        )
        # The order of layers varies, and later versions of Skopeo do not print this line.
        expected = [line for line in theirs.stdout.splitlines() if line != "Storing signatures"]
        assert sorted(ours.stdout.splitlines()) == sorted(expected)


def remove_variable_parts(log: str, name: str) -> list[str]:
    """Return the lines of a log without the time and without ``name``."""
    return [line.partition(" ")[2].replace(f"/{name}", "") for line in log.splitlines()]
