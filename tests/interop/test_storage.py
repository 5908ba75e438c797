"""``containers-storage:`` together with Podman and Skopeo, one after the other and in parallel.

Skopeo 1.9, which these tests run, labels the uncompressed layers of OCI images as compressed when
it copies them out of a storage. Later versions use the right media types, as airbundle does.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import kernel
from tests.fakes import images
from tests.fakes.tars import directory, hard_link, member, pack, symlink
from tests.interop import engines, servers

LOWER = pack(
    directory("etc", mode=0o750),
    member("etc/os-release", b"ID=test\n", mode=0o640, uid=5, gid=6),
    hard_link("etc/again", "etc/os-release", mode=0o640, uid=5, gid=6),
    symlink("etc/soft", "os-release"),
    directory("dev"),
    member("dev/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
    member("dev/pipe", kind=tarfile.FIFOTYPE, mode=0o600),
    member("bin/ping", b"#!" * 50_000, mode=0o4755),
    directory("full"),
    member("full/old", b"old"),
    member("gone", b"gone"),
    member("long/" + "n" * 150, b"long"),
)
UPPER = pack(
    directory("etc", mode=0o755),
    member("etc/.wh.again", mode=0),
    directory("full"),
    member("full/.wh..wh..opq", mode=0),
    member("full/new", b"new"),
    member(".wh.gone", mode=0),
    directory("implicit"),
    member("implicit/x/y", b"y"),
)
TOP = pack(member("top", b"top"))


def image(*tars, types=images.OCI):
    layers = [
        images.Layer(images.Blob(types["gzip"], gzip.compress(tar, mtime=0)), images.sha256(tar))
        for tar in tars
    ]
    config = {"created": "2020-01-02T03:04:05.5Z", "config": {"Cmd": ["/bin/ping"]}}
    return images.image(*layers, types=types, config=config)


OCI, DOCKER = image(LOWER, UPPER, TOP), image(LOWER, TOP, types=images.DOCKER)


@dataclass(frozen=True)
class EngineStorage:
    """A storage, and a Podman command that uses it."""

    driver: str
    home: Path
    podman: servers.Client

    def ref(self, name="example.com/app:1"):
        return f"containers-storage:[{self.driver}@{self.home}/root+{self.home}/run]{name}"

    @property
    def root(self):
        return self.home / "root"


def podman_in(home, driver):
    command = (servers.program("podman"), *engines.podman_flags(home, driver))
    return servers.Client(command, home)


@pytest.fixture(
    params=[
        pytest.param("vfs", marks=pytest.mark.kernel("owners", "devices", "mounts as root")),
        pytest.param("overlay", marks=pytest.mark.kernel("owners", "devices", "overlay mounts")),
    ]
)
def store(request, tmp_path):
    with engines.home() as home:
        yield EngineStorage(request.param, home, podman_in(home, request.param))


@pytest.fixture
def layout(tmp_path):
    written = images.write_layout(tmp_path / "layout", {"oci": OCI})
    return f"oci:{written}"


def test_podman_uses_images_from_airbundle(store, airbundle, layout, tmp_path):
    airbundle.ok("copy", f"{layout}:oci", store.ref())

    (listed,) = json.loads(store.podman.ok("images", "--format", "json"))
    assert listed["Names"] == ["example.com/app:1"]
    assert listed["Digest"] == OCI.digest
    (found,) = json.loads(store.podman.ok("image", "inspect", "example.com/app:1"))
    assert found["Id"] == OCI.blobs[0].digest.removeprefix("sha256:")
    assert found["RootFS"]["Layers"] == [images.sha256(tar) for tar in (LOWER, UPPER, TOP)]
    mounted = Path(store.podman.ok("image", "mount", "example.com/app:1").strip())
    try:
        assert sorted(
            path.relative_to(mounted).as_posix() for path in mounted.rglob("*")
        ) == sorted(
            "etc etc/os-release etc/soft dev dev/null dev/pipe bin bin/ping full full/new long "
            f"long/{'n' * 150} implicit implicit/x implicit/x/y top".split()
        )
        assert stat.S_IMODE((mounted / "etc").stat().st_mode) == 0o755
        assert (mounted / "etc/os-release").stat().st_uid == 5
    finally:
        store.podman.ok("image", "unmount", "example.com/app:1")
    store.podman.ok(
        "save", "--format", "oci-archive", "-o", tmp_path / "s.tar", "example.com/app:1"
    )
    store.podman.ok("create", "--name", "box", "example.com/app:1")
    assert "box" in airbundle("delete", store.ref()).stderr
    store.podman.ok("rm", "box")
    store.podman.ok("rmi", "example.com/app:1")
    assert json.loads(store.podman.ok("images", "--format", "json")) == []


@pytest.mark.kernel("containers")
def test_podman_runs_images_from_airbundle(store, airbundle, tmp_path):
    """The image contains ldconfig, which Debian links statically."""
    program = Path("/sbin/ldconfig").resolve().read_bytes()
    written = images.write_layout(tmp_path / "in", {"run": image(pack(member("program", program)))})
    airbundle.ok("copy", f"oci:{written}:run", store.ref())
    output = store.podman.ok(
        *("run", "--rm", "--network", "none", "--runtime", servers.program("runc")),
        *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"),
        *("example.com/app:1", "/program", "--version"),
    )
    assert "ldconfig" in output


def test_files_match_skopeo(store, airbundle, skopeo, layout, tmp_path):
    airbundle.ok("copy", f"{layout}:oci", store.ref())
    with engines.home() as home:
        other = EngineStorage(store.driver, home, podman_in(home, store.driver))
        skopeo.ok("copy", f"{layout}:oci", other.ref())

        assert describe_tree(store.root / store.driver) == describe_tree(other.root / store.driver)
        ours, theirs = (records(storage, "layers") for storage in (store, other))
        for record in (*ours, *theirs):
            del record["created"]
        assert ours == theirs
        ours, theirs = (records(storage, "images") for storage in (store, other))
        assert ours == theirs


@pytest.mark.parametrize("original", [OCI, DOCKER], ids=["oci", "docker"])
def test_airbundle_reads_images_from_skopeo(store, airbundle, skopeo, original, tmp_path):
    written = write_directory(tmp_path / "in", original)
    skopeo.ok("copy", f"dir:{written}", store.ref())

    airbundle.ok("copy", store.ref(), f"dir:{tmp_path}/ours")
    skopeo.ok("copy", store.ref(), f"dir:{tmp_path}/theirs")

    ours, theirs = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("ours", "theirs")
    )
    corrected = theirs["manifest.json"].replace(b"tar.gzip", b"tar").replace(b"tar+gzip", b"tar")
    assert ours["manifest.json"] == corrected
    assert {**ours, "manifest.json": b""} == {**theirs, "manifest.json": b""}
    inspected = json.loads(airbundle.ok("inspect", store.ref()))
    del inspected["LayersData"]
    assert inspected == json.loads(skopeo.ok("inspect", store.ref()))
    assert inspected["Digest"] == original.digest
    assert airbundle.ok("inspect", "--raw", store.ref()) == original.root.data.decode()


def test_airbundle_reads_images_committed_by_podman(store, airbundle, skopeo, layout, tmp_path):
    airbundle.ok("copy", f"{layout}:oci", store.ref())
    store.podman.ok("create", "--name", "box", "example.com/app:1")
    (tmp_path / "added").write_text("added")
    store.podman.ok("cp", tmp_path / "added", "box:/added")
    store.podman.ok("commit", "--quiet", "box", "example.com/committed:1")

    airbundle.ok("copy", store.ref("example.com/committed:1"), f"oci:{tmp_path}/ours:1")
    skopeo.ok("copy", store.ref("example.com/committed:1"), f"dir:{tmp_path}/theirs")

    config = json.loads(skopeo.ok("inspect", "--config", f"oci:{tmp_path}/ours:1"))
    assert config == json.loads(skopeo.ok("inspect", "--config", f"dir:{tmp_path}/theirs"))
    assert len(config["rootfs"]["diff_ids"]) == 4


def test_skopeo_reads_images_from_airbundle(store, airbundle, skopeo, layout, tmp_path):
    airbundle.ok("copy", f"{layout}:oci", store.ref())
    skopeo.ok("copy", store.ref(), f"dir:{tmp_path}/out")
    for tar in (LOWER, UPPER, TOP):
        assert (tmp_path / "out" / hashlib.sha256(tar).hexdigest()).read_bytes() == tar


def test_airbundle_deletes_images_from_skopeo(store, airbundle, skopeo, layout):
    skopeo.ok("copy", f"{layout}:oci", store.ref())
    airbundle.ok("delete", store.ref())
    assert json.loads(store.podman.ok("images", "--all", "--format", "json")) == []
    assert records(store, "layers") == []
    skopeo.ok("copy", f"{layout}:oci", store.ref())
    store.podman.ok("rmi", "example.com/app:1")


def test_list_tags_returns_all_names(store, airbundle, skopeo, layout):
    skopeo.ok("copy", f"{layout}:oci", store.ref())
    airbundle.ok("copy", f"{layout}:oci", store.ref("example.com/other:2"))
    listed = json.loads(airbundle.ok("list-tags", store.ref()))
    assert sorted(listed["Tags"]) == ["example.com/app:1", "example.com/other:2"]


def test_parallel_writers_keep_all_images(store, airbundle, skopeo, tmp_path):
    """Airbundle, Skopeo and Podman write to one storage; every image is complete afterwards."""
    many = {f"i{n}": image(LOWER, pack(member(f"own{n}", b"1" * n * 1000))) for n in range(8)}
    written = images.write_layout(tmp_path / "many", many)

    def copy(name):
        client = airbundle if name in ("i0", "i2", "i4", "i6") else skopeo
        client.ok("copy", f"oci:{written}:{name}", store.ref(f"example.com/{name}:1"))
        store.podman.ok("tag", f"example.com/{name}:1", f"example.com/{name}:2")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(copy, many))

    listed = json.loads(store.podman.ok("images", "--format", "json"))
    names = sorted(name for record in listed for name in set(record["Names"]))
    assert set(names) == {f"example.com/{name}:{tag}" for name in many for tag in (1, 2)}
    for name, stored in many.items():
        airbundle.ok("copy", store.ref(f"example.com/{name}:1"), f"dir:{tmp_path}/{name}")
        config = stored.blobs[0].digest.removeprefix("sha256:")
        assert (tmp_path / name / config).exists()


def test_killed_run_leaves_no_incomplete_layer(store, airbundle, tmp_path):
    big = image(*(pack(member(f"f{n}", os.urandom(3_000_000))) for n in range(6)))
    written = images.write_layout(tmp_path / "big", {"big": big})
    for seconds in (0.5, 0.8, 1.1, 1.4):
        command = ("copy", f"oci:{written}:big", store.ref("example.com/big:1"))
        with airbundle.start(*command) as process, suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        store.podman.ok("images", "--all")
        for layer in records(store, "layers"):
            assert "flags" not in layer
    airbundle.ok("copy", f"oci:{written}:big", store.ref("example.com/big:1"))
    assert not list(store.root.glob(".airbundle-*"))
    store.podman.ok(
        "save", "-o", tmp_path / "s.tar", "--format", "oci-archive", "example.com/big:1"
    )


@pytest.mark.kernel("user namespaces")
def test_image_is_unpacked_in_a_user_namespace(airbundle, tmp_path):
    """Devices are left out, and whiteouts are written without privileges."""
    tars = (
        pack(member("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), directory("d")),
        pack(directory("d"), member("d/.wh..wh..opq"), member("d/new", b"1")),
    )
    written = images.write_layout(
        tmp_path / "in", {"own": image(*tars), "other": image(pack(member("f", b"1", uid=5)))}
    )
    inner = servers.Client(
        (*kernel.namespace("user"), *servers.AIRBUNDLE),
        airbundle.home,
        airbundle.environment,
    )
    location = f"[overlay@{tmp_path}/root+{tmp_path}/run]"

    inner.ok("copy", f"oci:{written}:own", f"containers-storage:{location}own:1")

    (opaque,) = (tmp_path / "root/overlay").glob("*/diff/d/new")
    assert os.getxattr(opaque.parent, "user.overlay.opaque") == b"y"
    assert not list((tmp_path / "root/overlay").glob("*/diff/null"))
    refused = inner("copy", f"oci:{written}:other", f"containers-storage:{location}other:1")
    assert refused.returncode == 5
    assert "user ID 5" in refused.stderr


def write_directory(path, image):
    """Write an image as ``dir:`` stores it."""
    path.mkdir()
    for digest, data in image.contents().items():
        (path / digest.removeprefix("sha256:")).write_bytes(data)
    (path / image.digest.removeprefix("sha256:")).rename(path / "manifest.json")
    (path / "version").write_text("Directory Transport Version: 1.1\n")
    return path


def records(store, kind):
    path = store.root / f"{store.driver}-{kind}" / f"{kind}.json"
    return json.loads(path.read_bytes()) if path.exists() else []


def describe_tree(root):
    """Return all metadata of a tree, except names and times that each writer chooses."""
    described = {}
    for path in (root, *root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith("l/") or path.name in ("link", "lower", "merged", ".has-mount-program"):
            continue
        status = path.lstat()
        regular = stat.S_ISREG(status.st_mode)
        described[name] = (
            oct(status.st_mode),
            (status.st_uid, status.st_gid, status.st_rdev),
            0 if path.is_dir() else status.st_nlink,
            str(path.readlink()) if path.is_symlink() else None,
            path.read_bytes() if regular else None,
            int(status.st_mtime) if status.st_mtime < 1_100_000_000 else "now",
            {
                key: os.getxattr(path, key, follow_symlinks=False)
                for key in os.listxattr(path, follow_symlinks=False)
            },
        )
    return described
