"""Names that are derived from local paths."""

from __future__ import annotations

import pytest

from bundler.transports.source_reference import derive_name


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("dir/App_1.tar", "", ("app-1", "latest")),
        ("dir/App_1.tar", "@3", ("app-1", "latest")),
        ("dir/app", "v1", ("app", "v1")),
        ("..", "v1", ("image", "v1")),
        ("dir/app", "example.com/app:1", None),
    ],
)
def test_name_is_derived_from_the_path_unless_it_has_a_repository(
    path: str, name: str, expected: tuple[str, str] | None
) -> None:
    assert derive_name(path, name) == expected
