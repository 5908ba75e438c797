"""Contents of layers that are kept for the next command."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from bundler.bundle.audit.layers import contents_cache, encoding, layer_reader
from bundler.bundle.audit.layers.contents_cache import ContentsCache
from bundler.bundle.audit.layers.layer_reader import LayerReader
from bundler.cancel import Cancellation
from bundler.errors import BundlerError, ConfigError, DigestMismatchError, MalformedError
from bundler.oci.digest import Digest
from tests.bundle.audit.layers.test_reader_processes import LAYER, Source, describe
from tests.fakes import images, tars

DATA = LAYER.blob.data
OTHER = tars.layer(tars.member("a", mode=0o4755)).blob.data


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a layer with the cache, and return its contents or its error; count the reads."""
    original = layer_reader.read_layer
    count = []

    def counting(*arguments):
        count.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(layer_reader, "read_layer", counting)

    def read(data, layer=None, cache=True):
        layer = layer or describe(data)
        kept = ContentsCache.open(tmp_path / "cache") if cache else None
        with LayerReader(Cancellation(), kept) as reader:
            found = reader.try_read([(Source(data), layer)], (BundlerError,))[layer.digest]
        if kept is not None:
            kept.close()
        return found

    read.count = count
    read.directory = tmp_path / "cache"
    return read


def test_layer_is_decompressed_once_and_has_the_same_contents(read):
    found = [encoding.encode(read(DATA)) for _ in range(3)]
    assert len(read.count) == 1
    assert found == [encoding.encode(read(DATA, cache=False))] * 3


@pytest.mark.parametrize("position", [30, -5])
def test_damaged_layer_has_the_same_error_as_without_the_cache(read, position):
    """The bytes are read and verified each time."""
    damaged = bytearray(DATA)
    damaged[position] ^= 1
    layer = describe(DATA)
    expected = read(bytes(damaged), layer, cache=False)
    assert isinstance(expected, DigestMismatchError | MalformedError)
    assert not isinstance(read(DATA), BundlerError)
    found = read(bytes(damaged), layer)
    assert type(found) is type(expected)
    assert found.message == expected.message


def test_failed_layer_is_not_kept(read):
    for _ in range(2):
        assert isinstance(read(b"no tar" * 200), MalformedError)
    assert len(read.count) == 2
    assert not list(read.directory.iterdir())


CHANGES = {
    "emptied": lambda _: b"",
    "truncated": lambda data: data[:-1],
    "longer": lambda data: data + b"x",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_file_is_not_used(read, change):
    expected = encoding.encode(read(DATA))
    (file,) = read.directory.iterdir()
    file.write_bytes(change(file.read_bytes()))
    assert encoding.encode(read(DATA)) == expected
    assert len(read.count) == 2
    assert file.read_bytes() == expected


def test_file_of_another_layer_is_not_used(read):
    read(DATA)
    (file,) = read.directory.iterdir()
    read(OTHER)
    (other,) = set(read.directory.iterdir()) - {file}
    file.write_bytes(other.read_bytes())
    assert encoding.encode(read(DATA)) == encoding.encode(read(DATA, cache=False))


def test_other_code_finds_nothing(read, monkeypatch):
    read(DATA)
    monkeypatch.setattr("bundler.__version__", "9.9.9")
    read(DATA)
    assert len(read.count) == 2


def test_link_is_not_followed(read, tmp_path):
    expected = encoding.encode(read(DATA))
    (file,) = read.directory.iterdir()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert encoding.encode(read(DATA)) == expected
    assert len(read.count) == 2
    assert not file.is_symlink()


def test_files_that_were_not_used_for_longest_are_removed(tmp_path, monkeypatch):
    digests = [Digest(images.sha256(b"%d" % number)) for number in range(4)]
    with closing(ContentsCache.open(tmp_path)) as cache:
        for number, digest in enumerate(digests):
            cache.store(digest, bytes(1000))
            (name,) = (path for path in tmp_path.iterdir() if path.name.endswith(digest.hex))
            os.utime(name, (1000 + number, 1000 + number))
        monkeypatch.setattr(contents_cache, "MAX_SIZE", 2500)
    left = {path.name.rpartition("-")[2] for path in tmp_path.iterdir()}
    assert left == {digest.hex for digest in digests[2:]}


def test_foreign_files_are_not_removed(tmp_path, monkeypatch):
    """The user may name a directory that has other files."""
    monkeypatch.setattr(contents_cache, "MAX_SIZE", 0)
    foreign = [tmp_path / name for name in ("thesis.odt", "a-b", "0" * 64, ".part-of-something")]
    for path in foreign:
        path.write_bytes(bytes(1000))
    (tmp_path / f"{contents_cache._PART}{'0' * 16}").write_bytes(b"left by a killed process")
    with closing(ContentsCache.open(tmp_path)) as cache:
        cache.store(Digest(images.sha256(b"")), bytes(1000))
    assert sorted(tmp_path.iterdir()) == sorted(foreign)


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_directory_that_others_can_write_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(ConfigError, match="other users can write it"):
        ContentsCache.open(tmp_path)


def test_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="belongs to the user"):
        ContentsCache.open(tmp_path)


def test_directory_is_created_for_the_user_only(tmp_path):
    ContentsCache.open(tmp_path / "a/b").close()
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700


def test_layer_that_cannot_be_kept_is_no_error(read, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(contents_cache, "write_all", fail)
    assert not isinstance(read(DATA), BundlerError)
    assert not list(read.directory.iterdir())
