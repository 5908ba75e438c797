"""A path that is given with the wrong transport is reported with the right one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bundler import transports
from bundler.config.settings import Settings
from bundler.errors import BundlerError
from bundler.ports import OpenOptions
from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path) -> Path:
    images.write_layout(tmp_path / "layout", {"1": images.image()})
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory/manifest.json").write_bytes(images.image().root.data)
    (tmp_path / "file").write_bytes(b"?" * 2000)
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("dir:layout", "oci:"),
        ("oci-archive:layout", "oci:"),
        ("docker-archive:layout", "oci:"),
        ("oci:directory", "dir:"),
        ("oci-archive:directory", "dir:"),
        ("docker-archive:directory", "dir:"),
        ("dir:file", "oci-archive:"),
        ("oci:file:1", "docker-archive:"),
        ("oci-archive:file", "download or create it again"),
        ("docker-archive:file", "download or create it again"),
    ],
)
def test_hint_names_the_transport_that_reads_the_path(places: Path, named: str, meant: str) -> None:
    error = _failure(places, named)

    assert error.hint is not None
    assert meant in error.hint


@pytest.mark.parametrize("named", ["dir:empty", "oci:empty", "dir:nothing", "oci-archive:nothing"])
def test_no_hint_for_unknown_content(places: Path, named: str) -> None:
    assert _failure(places, named).hint is None


def _failure(places: Path, named: str) -> BundlerError:
    transport, _, rest = named.partition(":")
    reference = transports.parse(f"{transport}:{places}/{rest}")

    def resolve() -> None:
        place = transports.open_source(reference, OpenOptions(Settings()))
        with closing(place) as source:
            source.resolve(reference.name)

    with pytest.raises(BundlerError) as failure:
        resolve()
    return failure.value
