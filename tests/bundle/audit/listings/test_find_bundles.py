"""The bundles in a directory, at all levels, and what is not searched."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.listings import find_bundles as finding
from bundler.bundle.audit.listings.find_bundles import find_bundles
from bundler.errors import NotFoundError
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path


def find(folder: Path) -> tuple[list[str], list[str]]:
    found = find_bundles(folder)
    return [str(location) for location in found.locations], [str(e) for e in found.failures]


def test_bundles_at_every_level_are_found(tmp_path: Path):
    deep = tmp_path.joinpath("media", *"abcdefghij", "plant")
    bundles.write(deep)
    shutil.copytree(deep, tmp_path / "media/a/near")
    (tmp_path / "media/a.airbundle").write_bytes(b"")
    (tmp_path / "media/.Trash-1000").mkdir()
    shutil.copytree(deep, tmp_path / "media/.Trash-1000/removed")
    (tmp_path / "media/link").symlink_to(deep.parent)

    assert find(tmp_path / "media") == (
        [str(path) for path in (deep, tmp_path / "media/a/near", tmp_path / "media/a.airbundle")],
        [],
    )


def test_search_states_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).mkdir()
    bundles.write(tmp_path / "b/plant")
    monkeypatch.setattr(finding, "MAX_FOLDERS", 4)

    found, (failure,) = find(tmp_path)

    assert found == [str(tmp_path / "b/plant")]
    assert f"more than the 4 directories allowed; {tmp_path}/c and others" in failure


def test_directory_that_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bundles.write(tmp_path / "plant")
    list_folder = finding._list

    def refuse(folder: Path) -> tuple[list[Path], list[Path]]:
        if folder.name == "secret":
            raise PermissionError(13, "Permission denied")
        return list_folder(folder)

    monkeypatch.setattr(finding, "_list", refuse)
    (tmp_path / "secret").mkdir()

    found, (failure,) = find(tmp_path)

    assert (found, "secret: cannot read" in failure) == ([str(tmp_path / "plant")], True)
    with pytest.raises(NotFoundError):
        find(tmp_path / "absent")
