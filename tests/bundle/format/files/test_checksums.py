from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.bundle.format.files import checksums
from bundler.content.files.safe_directory import Directory
from bundler.errors import LimitError, MalformedError, NotFoundError
from bundler.oci.digest import Digest
from tests.fakes import bundles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

A, B = Digest.of(b"a"), Digest.of(b"b")
DIGESTS = st.binary(max_size=4).map(Digest.of)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda name: name not in {"con", "prn", "aux", "nul"} and name[:3] not in {"com", "lpt"}
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def create(folder: Path, paths: Iterable[str], unwritten: Mapping[str, bytes]):
    with Directory.open(folder) as directory:
        return checksums.create(directory, paths, unwritten)


@given(st.dictionaries(PATHS, DIGESTS))
def test_written_bytes_parse_to_an_equal_value(listed):
    assert checksums.parse(checksums.render(listed)) == listed


def test_lines_are_sorted_by_path():
    lines = checksums.render({"b": A, "a/c": B, "a-b": A}).decode().splitlines()
    assert [line.split()[1] for line in lines] == ["a-b", "a/c", "b"]


def test_sha256sum_accepts_written_checksums(tmp_path: Path):
    bundles.images.write_layout(tmp_path, bundles.sample())
    paths = [str(path.relative_to(tmp_path)) for path in bundles.find_files(tmp_path)]
    raw, described = create(tmp_path, paths, {"VERIFY.txt": b"text"})
    (tmp_path / "SHA256SUMS").write_bytes(raw)
    (tmp_path / "VERIFY.txt").write_bytes(b"text")
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True)
    assert described == checksums.describe(raw, len(paths) + 1)


def test_blob_named_after_its_digest_is_not_read_again(tmp_path: Path):
    path = f"blobs/sha256/{A.hex}"
    raw, _ = create(tmp_path, [path], {})
    assert checksums.parse(raw) == {path: A}
    with pytest.raises(NotFoundError):
        create(tmp_path, ["index.json"], {})


def test_blob_named_after_its_sha512_is_hashed(tmp_path: Path):
    named = Digest.of(b"a", "sha512")
    path = f"blobs/sha512/{named.hex}"
    (tmp_path / "blobs/sha512").mkdir(parents=True)
    (tmp_path / path).write_bytes(b"a")
    raw, _ = create(tmp_path, [path], {})
    assert checksums.parse(raw) == {path: A}


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../x",
        "/etc/passwd",
        "./a",
        "a//b",
        "a/",
        "",
        "a:b",
        "a\\b",
        "a\x1bb",
        "ä",
        "a.",
        "nul",
        "blobs/CON.txt",
        "x" * 201,
        "/".join("x" * 200 for _ in range(2)),
        "bundle.json",
        "SHA256SUMS",
        "bundle.json.0123456789abcdef.sig",
    ],
)
def test_path_that_must_not_be_listed_is_refused(path):
    with pytest.raises(MalformedError):
        checksums.render({path: A})
    with pytest.raises(MalformedError):
        checksums.parse(f"{A.hex}  {path}\n".encode())


@pytest.mark.parametrize(
    "raw",
    [
        f"{A.hex}  a\n{B.hex}  a\n",
        f"{A.hex}  a\n{B.hex}  A\n",
        f"{A.hex}  a",
        f"{A.hex} *a\n",
        f"{A.hex} a\n",
        f"{A.hex.upper()}  a\n",
        f"{A.hex[:-1]}  a\n",
        f"\\{A.hex}  a\n",
        f"{A.hex}  a b\n",
        f"{A.hex}  a\r\n",
        f"\n{A.hex}  a\n",
    ],
)
def test_malformed_checksum_file_is_refused(raw):
    with pytest.raises(MalformedError):
        checksums.parse(raw.encode())


def test_checksum_file_that_is_too_large_is_refused():
    with pytest.raises(LimitError):
        checksums.parse(b"x" * (checksums.MAX_CHECKSUM_FILE + 1))


@given(st.binary(max_size=300))
def test_hostile_input_raises_only_documented_errors(raw):
    with contextlib.suppress(MalformedError):
        checksums.parse(raw)
