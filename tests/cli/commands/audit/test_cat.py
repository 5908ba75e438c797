"""``airbundle cat``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, damage, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = bundles.REFERENCES[0]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    lower = tars.layer(
        tars.member("etc/motd", b"old\n"), tars.symlink("m", "etc/motd"), tars.symlink("to", "x")
    )
    upper = tars.layer(tars.member("etc/motd", b"new\n"))
    return bundles.write(tmp_path / "b", {NAME: images.image(lower, upper)})


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        (("nginx:1.27", "/etc/motd"), "new\n"),
        (("etc/motd",), "new\n"),
        (("m",), "new\n"),
        (("--layer", "1", "etc/motd"), "old\n"),
    ],
)
def test_file_is_printed(
    run_airbundle: RunAirbundle, bundle: Path, arguments: tuple[str, ...], content: str
):
    result = run_airbundle("cat", bundle, *arguments)
    assert (result.status, result.stdout) == (0, content)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("absent",), 9), (("a", "b", "c"), 2), ((), 2), (("etc/motd/x",), 9), (("to",), 9)],
)
def test_wrong_path_is_refused(
    run_airbundle: RunAirbundle, bundle: Path, arguments: tuple[str, ...], status: int
):
    result = run_airbundle("cat", bundle, *arguments)
    assert (result.status, result.stdout) == (status, "")


def test_damaged_layer_is_reported(run_airbundle: RunAirbundle, bundle: Path):
    damage.flip_bit(bundles.find_largest_blob(bundle))
    assert run_airbundle("cat", bundle, "etc/motd").status == 3
