"""The versions of a trust file in the directory of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.bundle.format import trust_chain
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.errors import LimitError, MalformedError
from bundler.trust.bundle_trust import SignedDocument

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0123456789abcdef"
CHAIN = {
    1: SignedDocument(b"first", {KEY: b"signature"}),
    2: SignedDocument(b"second", {KEY: b"one", KEY[::-1]: b"two"}),
    10: SignedDocument(b"tenth", {}),
}


def test_chain_is_read_as_it_was_written(tmp_path: Path):
    trust_chain.write_chain(tmp_path, CHAIN)
    assert trust_chain.read_chain(DirectoryFiles(tmp_path), 1) == CHAIN
    assert trust_chain.read_chain(DirectoryFiles(tmp_path), 2).keys() == {2, 10}
    trust_chain.write_chain(tmp_path, {2: SignedDocument(b"other", {KEY: b"one"})})
    assert trust_chain.read_chain(DirectoryFiles(tmp_path), 2)[2].raw == b"other"


def test_bundle_without_trust_files_has_an_empty_chain(tmp_path: Path):
    assert trust_chain.read_chain(DirectoryFiles(tmp_path), 1) == {}
    trust_chain.write_chain(tmp_path, {})
    assert not (tmp_path / "trust").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_foreign_file_with_the_name_of_the_directory_is_ignored(tmp_path: Path, kind: str):
    outside = tmp_path / "outside"
    trust_chain.write_chain(tmp_path, CHAIN)
    (tmp_path / "trust").rename(outside)
    if kind == "link":
        (tmp_path / "trust").symlink_to(outside)
    else:
        (tmp_path / "trust").write_text("mine")
    assert trust_chain.read_chain(DirectoryFiles(tmp_path), 1) == {}


def test_link_in_place_of_a_version_is_not_followed(tmp_path: Path):
    trust_chain.write_chain(tmp_path, CHAIN)
    (tmp_path / "trust/3.trust.json").symlink_to("/etc/passwd")
    with pytest.raises(MalformedError):
        trust_chain.read_chain(DirectoryFiles(tmp_path), 1)


@pytest.mark.parametrize(
    "name", ["0.trust.json", "01.trust.json", "1.trust.json.ABCDEF0123456789.sig"]
)
def test_file_with_another_name_is_ignored(tmp_path: Path, name: str):
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / name).write_text("mine")
    assert trust_chain.read_chain(DirectoryFiles(tmp_path), 1) == {}


def test_size_and_number_of_files_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trust_chain.write_chain(tmp_path, CHAIN)
    monkeypatch.setattr(trust_chain, "MAX_FILES", 5)
    with pytest.raises(LimitError):
        trust_chain.read_chain(DirectoryFiles(tmp_path), 1)
    monkeypatch.undo()
    with (tmp_path / "trust/11.trust.json").open("wb") as file:
        file.truncate(trust_chain.MAX_CHAIN)
    with pytest.raises(LimitError):
        trust_chain.read_chain(DirectoryFiles(tmp_path), 1)
