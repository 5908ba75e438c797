"""Documents that list images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.differences.image_lists import read_document
from bundler.errors import MalformedError, UnexpectedFileError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("raw", [b"", b"images:\n- a\n", b"\x7fELF", b"[]", b"{}", b'{"_type": 1}'])
def test_file_of_another_kind_is_a_mistake_of_the_user(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(UnexpectedFileError):
        read_document(tmp_path / "file")


@pytest.mark.parametrize("raw", [b'{"_type": "airbundle/bundle/v1"}', b'{"_type": "airb'])
def test_damaged_document_is_damage(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "file").write_bytes(raw)
    with pytest.raises(MalformedError):
        read_document(tmp_path / "file")
