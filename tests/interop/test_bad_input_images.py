"""Invalid images and missing sources: one line, the next step, and no incomplete output.

Each case runs with every command that it can affect, because each command opens its own sources.
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
from tests.interop.refusals import assert_refused
from tests.interop.written_files import read_files

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
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout that no test may change."""
    return images.write_layout(tmp_path_factory.mktemp("images") / "layout", IMAGES)


@pytest.fixture
def work_dir(airbundle: servers.Client, sample: Path, tmp_path: Path) -> Path:
    """A directory with a valid image in each transport."""
    (tmp_path / "layout").symlink_to(sample)
    for destination in (
        "dir:directory",
        "oci-archive:oci.tar:1",
        "docker-archive:docker.tar:a.example/b:1",
    ):
        airbundle.ok("copy", f"oci:{sample}:app", destination, cwd=tmp_path)
    return tmp_path


class TestReading:
    """Sources that cannot be read, with every command."""

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
    def test_wrong_transport_or_reference_is_refused(
        self, airbundle: servers.Client, work_dir: Path, image: str, status: int, words: list[str]
    ) -> None:
        for command in (("inspect", image), ("layers", image), ("copy", image, "dir:out")):
            hint = command[0] == "inspect" and "@" not in image
            assert_refused(airbundle(*command, cwd=work_dir), status, *words, hint=hint)
        assert not (work_dir / "out").exists()
        assert not list(work_dir.glob("layers-*"))

    @pytest.mark.parametrize(
        "image", ["dir:none", "oci:none:1", "oci-archive:none", "docker-archive:none"]
    )
    def test_missing_source_has_status_9(
        self, airbundle: servers.Client, tmp_path: Path, image: str
    ) -> None:
        for command in (("inspect", image), ("copy", image, "dir:out")):
            assert_refused(airbundle(*command, cwd=tmp_path), 9, "none", hint=False)
        assert list(tmp_path.glob("*")) == [airbundle.home]

    @pytest.mark.parametrize("archive", ["oci-archive:oci.tar:1", "docker-archive:docker.tar"])
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
    def test_truncated_archive_is_refused(
        self, airbundle: servers.Client, work_dir: Path, archive: str, share: float
    ) -> None:
        file = work_dir / archive.split(":")[1]
        os.truncate(file, int(file.stat().st_size * share) // 512 * 512)
        before = {*work_dir.iterdir()}

        for command in (("inspect", archive), ("copy", archive, "dir:out")):
            assert_refused(airbundle(*command, cwd=work_dir), 3, file.name)
        assert {*work_dir.iterdir()} == before

    @pytest.mark.parametrize(
        ("transport", "member"),
        [("docker-archive", "manifest.json"), ("oci-archive", "index.json")],
    )
    def test_oversized_document_is_refused(
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

        assert_refused(airbundle("inspect", f"{transport}:bomb.tar", cwd=tmp_path), 8, "bomb.tar")
        assert time.monotonic() - start < 10

    def test_missing_platform_has_status_9(self, airbundle: servers.Client, work_dir: Path) -> None:
        override = ("--override-arch", "s390x")
        for command in (
            (*override, "inspect", "oci:layout:multi"),
            (*override, "layers", "oci:layout:multi"),
            (*override, "copy", "--multi-arch", "system", "oci:layout:multi", "dir:out"),
            ("copy", "--platform", "linux/s390x", "oci:layout:multi", "dir:out"),
        ):
            assert_refused(
                airbundle(*command, cwd=work_dir), 9, "linux/s390x", "linux/amd64, linux/arm64"
            )
        assert not (work_dir / "out").exists()

    def test_unreachable_engine_has_status_6(
        self, airbundle: servers.Client, work_dir: Path
    ) -> None:
        image, host = "docker-daemon:a.example/b:1", f"daemon-host={NOWHERE}"
        for command in (
            ("inspect", f"--{host}", image),
            ("copy", f"--src-{host}", image, "dir:out"),
            ("copy", f"--dest-{host}", "oci:layout:app", image),
        ):
            assert_refused(airbundle(*command, cwd=work_dir), 6, NOWHERE)
        assert not (work_dir / "out").exists()


class TestLayers:
    """Faults of a layer, which are found when its content is read."""

    @pytest.mark.parametrize("destination", ["docker-archive:out:a.example/b:1", "dir:out"])
    def test_layer_that_differs_from_descriptor_is_refused(
        self, airbundle: servers.Client, work_dir: Path, destination: str
    ) -> None:
        more = ["--dest-decompress"] if destination.startswith("dir:") else []

        result = airbundle("copy", *more, "oci:layout:lies", destination, cwd=work_dir)

        assert_refused(
            result,
            3,
            LAYER.blob.digest,
            LAYER.diff_id,
            images.sha256(b"something else"),
            hint=False,
        )
        assert not (work_dir / "out").is_file()
        assert not (work_dir / "out/manifest.json").exists()

    @pytest.mark.parametrize("destination", ["docker-archive:out:a.example/b:1", "dir:out"])
    def test_decompression_bomb_is_refused(
        self, airbundle: servers.Client, work_dir: Path, destination: str
    ) -> None:
        more = ["--dest-decompress"] if destination.startswith("dir:") else []

        result = airbundle("copy", *more, "oci:layout:bomb", destination, cwd=work_dir)

        assert_refused(result, 8, BOMB.blob.digest)
        assert sum(file.stat().st_size for file in work_dir.rglob("out/*")) < 10_000_000


class TestWriting:
    """Destinations that cannot be written stay unchanged."""

    @pytest.mark.parametrize("destination", ["oci:locked:new", "dir:locked"])
    def test_copy_to_locked_destination_is_refused(
        self, airbundle: servers.Client, work_dir: Path, destination: str
    ) -> None:
        airbundle.ok("copy", "oci:layout:app", destination, cwd=work_dir)
        before = read_files(work_dir / "locked")

        with _locked(work_dir / "locked"):
            result = airbundle("copy", "oci:layout:multi", destination, cwd=work_dir)

        assert_refused(result, 5, "locked", str(os.getpid()))
        assert read_files(work_dir / "locked") == before

    def test_delete_from_locked_layout_is_refused(
        self, airbundle: servers.Client, work_dir: Path
    ) -> None:
        airbundle.ok("copy", "oci:layout:app", "oci:locked:app", cwd=work_dir)

        with _locked(work_dir / "locked"):
            result = airbundle("delete", "oci:locked:app", cwd=work_dir)

        assert_refused(result, 5, "locked", str(os.getpid()))

    @pytest.mark.parametrize("image", ["oci:own:none", "oci:own"])
    def test_delete_of_ambiguous_or_missing_image_is_refused(
        self, airbundle: servers.Client, tmp_path: Path, image: str
    ) -> None:
        images.write_layout(tmp_path / "own", {name: IMAGES[name] for name in ("app", "multi")})
        before = read_files(tmp_path / "own")

        assert_refused(airbundle("delete", image, cwd=tmp_path), 9, "own", "app, multi")
        assert read_files(tmp_path / "own") == before

    @pytest.mark.parametrize("image", ["dir:directory", "oci-archive:oci.tar:1"])
    def test_delete_from_transport_without_deletion_is_refused(
        self, airbundle: servers.Client, work_dir: Path, image: str
    ) -> None:
        assert_refused(airbundle("delete", image, cwd=work_dir), 1, image)
        airbundle.ok("inspect", image, cwd=work_dir)


class TestCredentials:
    """A malformed authfile is an error and never means anonymous access."""

    @pytest.mark.parametrize(
        "text", ["{", '{"auths": []}', '{"auths": {"h": {"auth": "?"}}}', "[]", '{"auths": 1}']
    )
    def test_malformed_authfile_is_refused(
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
            assert_refused(airbundle(*command, cwd=tmp_path), 2, "auth.json", hint=False)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    work_dir = Directory.open(path)
    try:
        file_lock.lock(work_dir)
        yield
    finally:
        work_dir.close()
