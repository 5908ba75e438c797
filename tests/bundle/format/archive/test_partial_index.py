"""Archives of which parts are missing, cut, or those of other archives."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format.archive import members, part_names, partial_index
from bundler.bundle.format.archive.parts_file import PartsFile
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import BundlerError, MalformedError, PartsOwedError, UsageError
from tests.fakes import archives

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4096
BLOBS = [b'{"manifest": 1}', b'{"config": 1}', *(bytes([n]) * 5000 for n in range(1, 6))]


def pack(blobs: list[bytes], serial: int = 1) -> bytes:
    """Return an archive with these blobs."""
    digests = [hashlib.sha256(data).hexdigest() for data in blobs]
    contents = "".join(
        f"sha256:{name} {len(data)} 1\n" for name, data in zip(digests, blobs, strict=True)
    ).encode()
    plan = {
        "_type": "airbundle/plan/v1",
        "stream": "s",
        "serial": serial,
        "created": "2026-12-01T00:00:00Z",
        "images": [],
        "contents": {
            "path": "CONTENTS",
            "digest": f"sha256:{hashlib.sha256(contents).hexdigest()}",
            "size": len(contents),
            "count": len(blobs),
        },
    }
    front = [("plan.json", json.dumps(plan).encode()), ("CONTENTS", contents)]
    content = [(f"blobs/sha256/{name}", data) for name, data in zip(digests, blobs, strict=True)]
    return archives.pack([*front, *content, ("SHA256SUMS", b"x" * 700), ("bundle.json", b"{}")])


WHOLE = pack(BLOBS)
COUNT = -(-len(WHOLE) // SIZE)
OTHER = pack([*BLOBS[:3], b"q" * 5000, *BLOBS[4:]], serial=2)


def split(directory: Path, data: bytes = WHOLE) -> dict[int, Path]:
    """Write the parts of an archive."""
    archive = directory / "a.airbundle"
    for number in range(1, -(-len(data) // SIZE) + 1):
        path = part_names.format_part_path(archive, number)
        path.write_bytes(data[(number - 1) * SIZE : number * SIZE])
    return part_names.list_parts(archive)


def read(parts: dict[int, Path]) -> partial_index.ArchiveIndex:
    file = PartsFile(parts)
    try:
        return partial_index.index(file, "a")
    finally:
        file.close()


def test_all_parts_are_the_whole_archive(tmp_path: Path):
    found = read(split(tmp_path))
    (tmp_path / "whole").write_bytes(WHOLE)
    with RegularFile.open(tmp_path / "whole") as file:
        assert found.members == members.index(file, "a")
    assert found.is_whole


@pytest.mark.parametrize("missing", range(2, COUNT + 1))
def test_members_outside_of_a_missing_part_are_found(tmp_path: Path, missing: int):
    parts = split(tmp_path)
    whole = read(parts).members
    del parts[missing]
    found = read(parts)
    hole = range((missing - 1) * SIZE, missing * SIZE)
    for path, member in whole.items():
        if path.startswith("blobs/"):
            is_touched = member.start - 512 < hole.stop and hole.start < member.end
            assert (path in found.members, path in found.lacking) == (not is_touched, is_touched)
    assert not found.is_whole


def test_first_part_is_needed(tmp_path: Path):
    parts = split(tmp_path)
    del parts[1]
    with pytest.raises(PartsOwedError):
        read(parts)


@pytest.mark.parametrize("number", range(1, COUNT))
def test_swapped_parts_are_never_whole(tmp_path: Path, number: int):
    parts = split(tmp_path)
    parts[number], parts[number + 1] = parts[number + 1], parts[number]
    try:
        swapped = read(parts)
    except BundlerError:
        return
    contents = {path: item for path, item in swapped.members.items() if path.startswith("blobs/")}
    file = PartsFile(parts)
    data = [bytearray(item.size) for item in contents.values()]
    for item, buffer in zip(contents.values(), data, strict=True):
        position = 0
        while position < item.size:
            position += file.readinto_at(memoryview(buffer)[position:], item.start + position)
    file.close()
    named = [path.rpartition("/")[2] for path in contents]
    assert [hashlib.sha256(buffer).hexdigest() for buffer in data] != named


@pytest.mark.parametrize("number", [2, COUNT])
def test_part_that_is_too_long_is_refused(tmp_path: Path, number: int):
    parts = split(tmp_path)
    parts[number].write_bytes(parts[number].read_bytes() + bytes(SIZE))
    with pytest.raises(MalformedError):
        read(parts)


def test_first_part_that_is_too_long_is_not_part_of_a_whole_archive(tmp_path: Path):
    parts = split(tmp_path)
    parts[1].write_bytes(parts[1].read_bytes() + bytes(SIZE))
    assert not read(parts).is_whole


@pytest.mark.parametrize("number", range(2, COUNT))
def test_cut_part_leaves_a_hole(tmp_path: Path, number: int):
    parts = split(tmp_path)
    parts[number].write_bytes(parts[number].read_bytes()[:100])
    assert not read(parts).is_whole


def test_content_of_another_archive_does_not_take_the_place_of_that_of_the_plan(tmp_path: Path):
    parts = split(tmp_path)
    whole = read(parts).members
    (tmp_path / "other").mkdir()
    for number in range(2, COUNT):
        other = parts | {number: split(tmp_path / "other", OTHER)[number]}
        try:
            found = read(other).members
        except MalformedError:
            continue
        assert all(found[path] == whole[path] for path in found.keys() & whole.keys())


def test_cut_file_is_never_whole(tmp_path: Path):
    path = tmp_path / "a.airbundle"
    for cut in range(0, len(WHOLE) - 512, 509):
        path.write_bytes(WHOLE[:cut])
        try:
            assert not read({1: path}).is_whole
        except BundlerError:
            assert cut < 3000  # before the end of CONTENTS


@pytest.mark.parametrize(
    "names", [("a.airbundle.001", "b"), ("a.airbundle.001", "sub/a.airbundle.001")]
)
def test_other_paths_beside_parts_are_refused(tmp_path: Path, names: tuple[str, ...]):
    with pytest.raises(UsageError):
        part_names.find_parts([tmp_path / name for name in names])


@pytest.mark.parametrize("name", ["a.airbundle.000", "a.airbundle.1", "a.tar.001", "a.001"])
def test_other_names_are_no_parts(tmp_path: Path, name: str):
    assert part_names.parse_part_path(tmp_path / name) is None


@pytest.mark.parametrize("line", ["x", "0" * 64 + "  b.airbundle.001", "0" * 64 + "  ../a"])
def test_malformed_list_is_refused(tmp_path: Path, line: str):
    archive = tmp_path / "a.airbundle"
    part_names.format_list_path(archive).write_text(f"{line}\n")
    with pytest.raises(MalformedError):
        part_names.read_list(archive)
