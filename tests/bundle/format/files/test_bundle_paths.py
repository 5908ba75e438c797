from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.content.files.safe_directory import Directory
from bundler.errors import LimitError, MalformedError, NotFoundError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

A, LONG = Digest.of(b"a"), Digest.of(b"a", "sha512")


@pytest.mark.parametrize("digest", [A, LONG])
def test_path_of_content_contains_its_digest(digest: Digest):
    root = Digest.of(b"root")
    assert (
        bundle_paths.parse_digest(bundle_paths.find_path("oci", digest, digest, manifest=False))
        == digest
    )
    for manifest in (False, True):
        path = bundle_paths.find_path("dir", root, digest, manifest=manifest)
        assert bundle_paths.parse_digest(path) == digest
        assert bundle_paths.is_path(path)
    assert (
        bundle_paths.parse_digest(bundle_paths.find_path("dir", digest, digest, manifest=True))
        == digest
    )


@pytest.mark.parametrize(
    "path",
    [
        "index.json",
        "blobs/sha256/abc",
        f"blobs/sha512/{A.hex}",
        f"blobs/md5/{A.hex}",
        f"other/sha256/{A.hex}",
        f"blobs/sha256/{A.hex}/x",
        f"images/{A.hex}/version",
        "images/x/manifest.json",
    ],
)
def test_other_path_contains_no_digest(path: str):
    assert bundle_paths.parse_digest(path) is None


@given(st.text(max_size=40))
def test_valid_path_is_normalized_and_below_the_bundle(text: str):
    if bundle_paths.is_path(text):
        assert text.isascii()
        assert os.path.normpath(text) == text
        assert not text.startswith("/")
        assert not set(text) & set(':\\*?"<>| \0')


def test_signature_file_is_named_after_its_key():
    name = bundle_paths.format_signature_name(A.hex)
    assert name == f"bundle.json.{A.hex[:16]}.sig"
    assert bundle_paths.parse_signature_name(name) == A.hex[:16]
    assert bundle_paths.parse_signature_name("bundle.json") is None


def test_scan_follows_no_link_and_opens_no_file(tmp_path: Path):
    (tmp_path / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "blobs/sha256/x").write_bytes(b"123")
    (tmp_path / "index.json").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "blobs/pipe")
    (tmp_path / "blobs/loop").symlink_to("..")
    (tmp_path / "holiday.jpg").write_bytes(b"")
    found = bundle_files.scan(tmp_path)
    kinds = {path: (entry.kind, entry.size) for path, entry in found.entries.items()}
    assert kinds["blobs/sha256/x"] == ("file", 3)
    assert {path for path, (kind, _) in kinds.items() if kind == "special"} == {
        "index.json",
        "blobs/pipe",
        "blobs/loop",
    }
    assert found.ignored == 1


def test_path_outside_the_bundle_is_refused(tmp_path: Path):
    (tmp_path / "secret").write_text("x")
    bundle = tmp_path / "b"
    bundle.mkdir()
    files = DirectoryFiles(bundle)
    for path in ("../secret", "/etc/passwd", "a/../../secret", ""):
        with pytest.raises(MalformedError):
            files.read(path, 100)
        with pytest.raises(MalformedError):
            files.get_size(path)


def test_read_file_enforces_its_limit(tmp_path: Path):
    (tmp_path / "index.json").write_bytes(b"x" * 10)
    files = DirectoryFiles(tmp_path)
    assert files.read("index.json", 10) == b"x" * 10
    with pytest.raises(LimitError):
        files.read("index.json", 9)
    with pytest.raises(NotFoundError):
        files.read("oci-layout", 9)


def test_remove_signatures_keeps_other_files(tmp_path: Path):
    kept = ["SHA256SUMS", "index.json", "bundle.json", "bundle.json.backup"]
    for name in (*kept, bundle_paths.format_signature_name(A.hex)):
        (tmp_path / name).write_bytes(b"x")
    with Directory.open(tmp_path) as bundle:
        bundle_files.remove_signatures(bundle)
        bundle_files.remove_signatures(bundle)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"blobs/sha256/{A.hex}", True),
        ("blobs/sha256/.airbundle-0011.part", True),
        (f"images/{A.hex}/manifest.json", True),
        (f"images/{A.hex}/version", True),
        (f"images/{A.hex}/{A.hex}.manifest.json", True),
        (f"images/{A.hex}/.airbundle-0011.part", True),
        ("blobs/sha256/run.sh", False),
        (f"images/{A.hex}/run.sh", False),
        ("images/holiday/version", False),
        ("index.json", False),
        ("VERIFY.txt", False),
        (".airbundle-0011.part", False),
    ],
)
def test_content_is_recognised_by_its_path(path: str, expected: bool):
    assert bundle_paths.is_content(path) is expected


def test_remove_files_removes_only_empty_directories(tmp_path: Path):
    for path in ("images/a/version", "images/b/version", "images/b/note", "blobs/sha512/c"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    removed = ["images/a/version", "images/b/version", "blobs/sha512/c"]
    with Directory.open(tmp_path) as directory:
        bundle_files.remove_files(directory, removed)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"images", "images/b", "images/b/note", "blobs"}
