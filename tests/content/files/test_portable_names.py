from __future__ import annotations

import pytest

from bundler.content.files.safe_directory import is_portable


@pytest.mark.parametrize("name", ["a", "SHA256SUMS", "oci-layout", "v1.2_3", "console", "a" * 200])
def test_ordinary_name_is_portable(name: str) -> None:
    assert is_portable(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "a.", "a b", "a:b", "a/b", "ä", "a\n", "a" * 201],
)
def test_name_refused_or_changed_by_a_file_system_is_not_portable(name: str) -> None:
    assert not is_portable(name)


@pytest.mark.parametrize("name", ["con", "NUL", "Aux.txt", "com1", "lpt9.tar.gz"])
def test_device_name_is_not_portable_in_any_case_or_with_any_extension(name: str) -> None:
    assert not is_portable(name)
