"""Names that are derived from local paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.transports.source_reference import derive_name, parse_source


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


def test_image_stream_is_not_a_path_below_the_folder() -> None:
    image, source = parse_source("atomic:r.example:5000/a/b:1", Path("folder"))
    assert str(image) == "r.example:5000/a/b:1"
    assert str(source) == "atomic:r.example:5000/a/b:1"
