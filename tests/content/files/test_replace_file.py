"""The replacement of a large file."""

from __future__ import annotations

import os

import pytest

from bundler.content.files.replace_file import FileReplacement
from bundler.errors import DisconnectedMediumError


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_medium_that_vanishes_before_the_end_is_reported(tmp_path, monkeypatch, call):
    """The open file of an unmounted medium can still be written."""
    medium = tmp_path / "medium"
    medium.mkdir()
    original = getattr(os, call)

    def vanish(*arguments, **options):
        monkeypatch.undo()
        medium.rename(tmp_path / "away")
        return original(*arguments, **options)

    with FileReplacement(medium / "a.tar") as file:
        file.write(b"content", 0)
        monkeypatch.setattr(os, call, vanish)
        with pytest.raises(DisconnectedMediumError):
            file.publish(7)
