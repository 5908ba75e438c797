"""The error for a directory that is not a bundle names those below it."""

from __future__ import annotations

import pytest

from bundler.bundle.format.inventory.read_inventory import create_unfinished_error


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["hosp/bundle.json"], "{0}: not a bundle (below it: {0}/hosp)"),
        (["b.airbundle", "notes.txt"], "{0}: not a bundle (below it: {0}/b.airbundle)"),
        (["a/x/bundle.json"], "{0}: contains no complete bundle: bundle.json is missing"),
        (
            [f"{name}/bundle.json" for name in "dcba"],
            "{0}: not a bundle (below it: {0}/a, {0}/b, {0}/c, …)",
        ),
    ],
)
def test_bundles_below_the_directory_are_named(names, message, tmp_path) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert create_unfinished_error(str(tmp_path)).message == message.format(tmp_path)
