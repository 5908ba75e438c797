"""Bad images, and places that are not there: one line, the next step, and nothing half done.

Of each command that could meet it, since each opens its places by itself.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from bundler.content.files import file_lock
from bundler.content.files.safe_directory import Directory
from tests.fakes import images
from tests.interop.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop import servers

LAYER = images.layer({"data": b"1" * 100_000})
BOMB = images.layer({"zeros": bytes(300_000_000)}, compression="zstd")
IMAGES = {
    "app": images.image(LAYER),
    "lies": images.image(images.Layer(LAYER.blob, images.sha256(b"something else"))),
    "bomb": images.image(BOMB),
    "multi": images.multi_platform("multi", "linux/arm64", "linux/amd64"),
}
NOWHERE = "unix:///nowhere/docker.sock"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout, which no test may change."""
    return images.write_layout(tmp_path_factory.mktemp("made") / "layout", IMAGES)


@pytest.fixture
def place(airbundle: servers.Client, made: Path, tmp_path: Path) -> Path:
    """A directory with a good image in each kind of place."""
    (tmp_path / "layout").symlink_to(made)
    for goal in (
        "dir:directory",
        "oci-archive:oci.tar:1",
        "docker-archive:docker.tar:a.example/b:1",
    ):
        airbundle.ok("copy", f"oci:{made}:app", goal, cwd=tmp_path)
    return tmp_path


class TestReading:
    """What cannot be read, whichever command reads it."""

    @pytest.mark.parametrize(
        ("image", "status", "words"),
        [
            ("oci-archive:docker.tar", 1, ["docker.tar", "docker-archive:"]),
            ("docker-archive:oci.tar", 1, ["oci.tar", "oci-archive:"]),
            ("dir:layout", 9, ["layout", "oci:"]),
            ("oci:directory", 9, ["directory", "dir:"]),
            ("oci:oci.tar", 9, ["oci.tar", "oci-archive:"]),
            ("oci:layout", 9, ["4 images", "app", "multi"]),
            ("oci:layout:none", 9, ["'none'", "app"]),
            ("oci:layout:@9", 9, ["9"]),
            ("oci-archive:oci.tar:none", 9, ["'none'"]),
            ("docker-archive:docker.tar:a.example/none:1", 9, ["a.example/none:1"]),
        ],
    )
    def test_wrong_transport_or_reference(
        self, airbundle: servers.Client, place: Path, image: str, status: int, words: list[str]
    ) -> None:
        for command in (("inspect", image), ("layers", image), ("copy", image, "dir:out")):
            hint = command[0] == "inspect" and "@" not in image
            refused(airbundle(*command, cwd=place), status, *words, hint=hint)
        assert not (place / "out").exists()
        assert not list(place.glob("layers-*"))

    @pytest.mark.parametrize(
        "image", ["dir:none", "oci:none:1", "oci-archive:none", "docker-archive:none"]
    )
    def test_nothing_there(self, airbundle: servers.Client, tmp_path: Path, image: str) -> None:
        for command in (("inspect", image), ("copy", image, "dir:out")):
            refused(airbundle(*command, cwd=tmp_path), 9, "none", hint=False)
        assert list(tmp_path.glob("*")) == [airbundle.home]

    @pytest.mark.parametrize("archive", ["oci-archive:oci.tar:1", "docker-archive:docker.tar"])
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
    def test_truncated_archive(
        self, airbundle: servers.Client, place: Path, archive: str, share: float
    ) -> None:
        file = place / archive.split(":")[1]
        os.truncate(file, int(file.stat().st_size * share) // 512 * 512)
        before = {*place.iterdir()}

        for command in (("inspect", archive), ("copy", archive, "dir:out")):
            refused(airbundle(*command, cwd=place), 3, file.name)
        assert {*place.iterdir()} == before

    @pytest.mark.parametrize(
        ("transport", "member"),
        [("docker-archive", "manifest.json"), ("oci-archive", "index.json")],
    )
    def test_bomb_for_a_document(
        self, airbundle: servers.Client, tmp_path: Path, transport: str, member: str
    ) -> None:
        with (
            gzip.open(tmp_path / "bomb.tar", "wb", 1) as compressed,
            tarfile.open(fileobj=compressed, mode="w") as archive,
        ):
            header = tarfile.TarInfo(member)
            header.size = 300_000_000
            archive.addfile(header, io.BytesIO(b" " * header.size))
        start = time.monotonic()

        refused(airbundle("inspect", f"{transport}:bomb.tar", cwd=tmp_path), 8, "bomb.tar")
        assert time.monotonic() - start < 10

    def test_missing_platform(self, airbundle: servers.Client, place: Path) -> None:
        wanted = ("--override-arch", "s390x")
        for command in (
            (*wanted, "inspect", "oci:layout:multi"),
            (*wanted, "layers", "oci:layout:multi"),
            (*wanted, "copy", "--multi-arch", "system", "oci:layout:multi", "dir:out"),
            ("copy", "--platform", "linux/s390x", "oci:layout:multi", "dir:out"),
        ):
            refused(airbundle(*command, cwd=place), 9, "linux/s390x", "linux/amd64, linux/arm64")
        assert not (place / "out").exists()

    def test_engine_that_is_not_there(self, airbundle: servers.Client, place: Path) -> None:
        image, host = "docker-daemon:a.example/b:1", f"daemon-host={NOWHERE}"
        for command in (
            ("inspect", f"--{host}", image),
            ("copy", f"--src-{host}", image, "dir:out"),
            ("copy", f"--dest-{host}", "oci:layout:app", image),
        ):
            refused(airbundle(*command, cwd=place), 6, NOWHERE)
        assert not (place / "out").exists()


class TestLayers:
    """What is wrong with a layer comes to light when its content is asked for."""

    @pytest.mark.parametrize("goal", ["docker-archive:out:a.example/b:1", "dir:out"])
    def test_content_that_is_not_the_one_promised(
        self, airbundle: servers.Client, place: Path, goal: str
    ) -> None:
        more = ["--dest-decompress"] if goal.startswith("dir:") else []

        ran = airbundle("copy", *more, "oci:layout:lies", goal, cwd=place)

        refused(
            ran, 3, LAYER.blob.digest, LAYER.diff_id, images.sha256(b"something else"), hint=False
        )
        assert not (place / "out").is_file()
        assert not (place / "out/manifest.json").exists()

    @pytest.mark.parametrize("goal", ["docker-archive:out:a.example/b:1", "dir:out"])
    def test_bomb(self, airbundle: servers.Client, place: Path, goal: str) -> None:
        more = ["--dest-decompress"] if goal.startswith("dir:") else []

        ran = airbundle("copy", *more, "oci:layout:bomb", goal, cwd=place)

        refused(ran, 8, BOMB.blob.digest)
        assert sum(file.stat().st_size for file in place.rglob("out/*")) < 10_000_000


class TestWriting:
    """What cannot be written, and stays as it was."""

    @pytest.mark.parametrize("goal", ["oci:locked:new", "dir:locked"])
    def test_place_that_another_process_writes(
        self, airbundle: servers.Client, place: Path, goal: str
    ) -> None:
        airbundle.ok("copy", "oci:layout:app", goal, cwd=place)
        before = _contents(place / "locked")

        with _locked(place / "locked"):
            ran = airbundle("copy", "oci:layout:multi", goal, cwd=place)

        refused(ran, 5, "locked", str(os.getpid()))
        assert _contents(place / "locked") == before

    def test_deleting_where_another_process_writes(
        self, airbundle: servers.Client, place: Path
    ) -> None:
        airbundle.ok("copy", "oci:layout:app", "oci:locked:app", cwd=place)

        with _locked(place / "locked"):
            ran = airbundle("delete", "oci:locked:app", cwd=place)

        refused(ran, 5, "locked", str(os.getpid()))

    @pytest.mark.parametrize("image", ["oci:own:none", "oci:own"])
    def test_deleting_what_is_not_one_image(
        self, airbundle: servers.Client, tmp_path: Path, image: str
    ) -> None:
        images.write_layout(tmp_path / "own", {name: IMAGES[name] for name in ("app", "multi")})
        before = _contents(tmp_path / "own")

        refused(airbundle("delete", image, cwd=tmp_path), 9, "own", "app, multi")
        assert _contents(tmp_path / "own") == before

    @pytest.mark.parametrize("image", ["dir:directory", "oci-archive:oci.tar:1"])
    def test_deleting_where_nothing_can_be_deleted(
        self, airbundle: servers.Client, place: Path, image: str
    ) -> None:
        refused(airbundle("delete", image, cwd=place), 1, image)
        airbundle.ok("inspect", image, cwd=place)


class TestCredentials:
    """A file that does not parse is an error: never does anybody become anonymous."""

    @pytest.mark.parametrize(
        "text", ["{", '{"auths": []}', '{"auths": {"h": {"auth": "?"}}}', "[]", '{"auths": 1}']
    )
    def test_file_that_does_not_parse(
        self, airbundle: servers.Client, registry: servers.Registry, tmp_path: Path, text: str
    ) -> None:
        text = text.replace('"h"', f'"{registry.host}"')
        (tmp_path / "auth.json").write_text(text)
        image = f"docker://{registry.host}/some/image:1"
        for command in (
            ("inspect", "--tls-verify=false", image, "--authfile=auth.json"),
            ("list-tags", "--tls-verify=false", image.removesuffix(":1"), "--authfile=auth.json"),
            ("delete", "--tls-verify=false", image, "--authfile=auth.json"),
            ("layers", "--tls-verify=false", image, "--authfile=auth.json"),
            ("copy", "--src-tls-verify=false", "--src-authfile=auth.json", image, "dir:out"),
        ):
            refused(airbundle(*command, cwd=tmp_path), 2, "auth.json", hint=False)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    place = Directory.open(path)
    try:
        file_lock.lock(place)
        yield
    finally:
        place.close()


def _contents(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file()}
