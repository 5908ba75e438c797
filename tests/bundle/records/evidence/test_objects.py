"""Objects of the evidence are written once, and no damage to them goes unnoticed."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import zstandard

from bundler.bundle.records.evidence import objects
from bundler.errors import (
    DamagedEvidenceError,
    LimitError,
    MalformedError,
    MissingEvidenceError,
    NoSpaceError,
)
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CONTENT = b"evidence " * 1000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[objects.ObjectStore]:
    with objects.open_store(tmp_path, create=True) as store:
        yield store


def find_file(store: objects.ObjectStore, digest: Digest) -> Path:
    return store.path / f"{digest.hex}.zst"


def test_object_is_named_by_its_content_and_compressed(store: objects.ObjectStore):
    digest = store.add(CONTENT)
    assert digest == Digest.of(CONTENT)
    assert store.read(digest) == CONTENT
    assert find_file(store, digest).stat().st_size < len(CONTENT) / 10
    assert store.list_names() == {digest.hex}


def test_equal_content_is_written_once(store: objects.ObjectStore):
    path = find_file(store, store.add(CONTENT))
    before = path.stat()
    store.add(CONTENT)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_other_content(path: Path) -> None:
    path.write_bytes(zstandard.compress(CONTENT + b"!"))


def replace_by_text(path: Path) -> None:
    path.write_bytes(CONTENT)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def append_second_frame(path: Path) -> None:
    path.write_bytes(path.read_bytes() + zstandard.compress(b"more"))


def state_no_size(path: Path) -> None:
    path.write_bytes(zstandard.ZstdCompressor(write_content_size=False).compress(CONTENT))


def state_enormous_size(path: Path) -> None:
    """The header of a frame without a checksum, whose content has 2^62 bytes."""
    path.write_bytes(b"\x28\xb5\x2f\xfd\xc0\x70" + (2**62).to_bytes(8, "little") + b"\x01\0\0")


@pytest.mark.parametrize(
    "damage",
    [
        replace_by_link,
        replace_by_pipe,
        replace_by_directory,
        replace_by_other_content,
        replace_by_text,
        truncate,
        empty,
        append_second_frame,
        state_no_size,
        state_enormous_size,
    ],
)
def test_damaged_object_is_neither_read_nor_replaced(
    store: objects.ObjectStore, damage: Callable[[Path], None]
):
    digest = store.add(CONTENT)
    damage(find_file(store, digest))
    before = find_file(store, digest).lstat()
    identity = (before.st_ino, before.st_size, before.st_mtime_ns)
    for action in (lambda: store.read(digest), lambda: store.add(CONTENT)):
        with pytest.raises(DamagedEvidenceError) as caught:
            action()
        assert caught.value.digests == (digest.text,)
    after = find_file(store, digest).lstat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == identity


def test_every_changed_byte_is_noticed_or_changes_nothing(store: objects.ObjectStore):
    digest = store.add(b"content")
    path = find_file(store, digest)
    raw = path.read_bytes()
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 0x20
        path.write_bytes(changed)
        with suppress(DamagedEvidenceError):
            assert store.read(digest) == b"content"


def test_missing_object_has_an_error_of_its_own(store: objects.ObjectStore, tmp_path: Path):
    for opened in (store, objects.ObjectStore(tmp_path / "none", None)):
        with pytest.raises(MissingEvidenceError) as caught:
            opened.read(Digest.of(b"other"))
        assert caught.value.digests == (Digest.of(b"other").text,)


def test_size_of_objects_is_limited(store: objects.ObjectStore):
    with pytest.raises(LimitError):
        store.add(bytes(objects.MAX_OBJECT + 1))
    assert store.list_names() == set()


def test_objects_behind_a_link_are_refused(tmp_path: Path):
    (tmp_path / "aside").mkdir()
    (tmp_path / "evidence").symlink_to("aside")
    with pytest.raises(MalformedError), objects.open_store(tmp_path, create=True):
        pass


@pytest.mark.parametrize("shared", [False, True])
def test_modes_follow_those_of_the_records(tmp_path: Path, shared: bool):
    tmp_path.chmod(0o2770 if shared else 0o700)
    with objects.open_store(tmp_path, create=True) as store:
        path = find_file(store, store.add(CONTENT))
    assert stat.S_IMODE(path.stat().st_mode) == (0o660 if shared else 0o600)


def test_full_disk_leaves_no_object(store: objects.ObjectStore, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(NoSpaceError):
            store.add(CONTENT)
    assert list(store.path.iterdir()) == []
    assert store.read(store.add(CONTENT)) == CONTENT
