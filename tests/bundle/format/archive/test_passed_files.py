"""Archives that are read as a stream, to their end."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from bundler.bundle.format.archive import member_stream
from bundler.bundle.format.archive.passed_files import PassedFiles
from bundler.errors import DigestMismatchError, LimitError, MalformedError, UnsupportedError
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_MANIFEST
from tests.fakes import archives

CONFIG, LAYER = b'{"config": 1}', b"\x1f\x8b" + b"x" * 5000


def find_path(data: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"


LARGE = b"{" * (MAX_MANIFEST + 1)
LONG = f"blobs/sha512/{hashlib.sha512(LAYER).hexdigest()}"
MEMBERS = [
    ("plan.json", b"{}\n"),
    ("CONTENTS", b""),
    *((find_path(data), data) for data in (CONFIG, LAYER, LARGE)),
    ("SHA256SUMS", b""),
    ("bundle.json", b"{}"),
]
WHOLE = archives.pack(MEMBERS)


def read(data: bytes) -> PassedFiles:
    return PassedFiles(io.BytesIO(data), "-")


def test_all_members_are_hashed_and_only_small_documents_kept():
    files = read(WHOLE)
    assert files.scan().entries.keys() == {path for path, _ in MEMBERS}
    expected = {path: [Digest.of(data)] for path, data in MEMBERS}
    assert files.compare(expected) == {}
    assert files.read(find_path(CONFIG), 100) == CONFIG
    for data in (LAYER, LARGE):
        assert files.get_size(find_path(data)) == len(data)
        with pytest.raises(UnsupportedError):
            files.open(find_path(data))


def test_digest_of_a_name_in_sha512_is_computed():
    entry = tarfile.TarInfo(LONG)
    entry.size = len(LAYER)
    member = entry.tobuf(tarfile.GNU_FORMAT) + LAYER + bytes(-len(LAYER) % 512)
    files = read(archives.pack(MEMBERS[:2], b"") + member + archives.pack(MEMBERS[-1:]))
    named = Digest(f"sha512:{LONG.rpartition('/')[2]}")
    assert files.compare({LONG: [named, Digest.of(LAYER)]}) == {}


@pytest.mark.parametrize("path", [path for path, _ in MEMBERS])
def test_other_digest_is_reported(path: str):
    errors = read(WHOLE).compare({path: [Digest.of(b"other")]})
    assert isinstance(errors[path], DigestMismatchError)


@pytest.mark.parametrize("cut", [0, 100, 600, 2000, 5000, len(WHOLE) - 3000, len(WHOLE) - 1024])
def test_cut_stream_is_refused(cut: int):
    with pytest.raises(MalformedError):
        read(WHOLE[:cut])


def test_end_without_an_inventory_is_refused():
    with pytest.raises(MalformedError):
        read(archives.pack(MEMBERS[:-1]))


def test_data_after_the_end_is_refused():
    with pytest.raises(MalformedError):
        read(WHOLE + b"x")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(member_stream, "MAX_KEPT", 10)
    with pytest.raises(LimitError):
        read(WHOLE)
