"""Indexes instead of names, and hints at another transport."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bundler import transports
from bundler.config.settings import Settings
from bundler.errors import BundlerError, InvalidReferenceError, UnsupportedError
from bundler.ports import OpenOptions
from bundler.transports.shared.path_transport import check_index
from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["@", "@x", "@-1", "@1 ", "@²", "@123456789"])
def test_index_must_be_a_short_decimal_number(name: str) -> None:
    check_index("oci:app", "@12345678")
    with pytest.raises(InvalidReferenceError):
        check_index("oci:app", name)


def test_index_in_a_destination_is_refused() -> None:
    reference = transports.parse("oci:app:@0")
    with pytest.raises(UnsupportedError) as raised:
        transports.open_destination(reference, OpenOptions(Settings))
    assert raised.value.hint == "specify a name: oci:app:NAME"


@pytest.fixture
def paths(tmp_path: Path) -> Path:
    images.write_layout(tmp_path / "layout", {"1": images.image()})
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory/manifest.json").write_bytes(images.image().root.data)
    (tmp_path / "file").write_bytes(b"?" * 2000)
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("dir:layout", "oci:"),
        ("oci-archive:layout", "oci:"),
        ("docker-archive:layout", "oci:"),
        ("oci:directory", "dir:"),
        ("oci-archive:directory", "dir:"),
        ("docker-archive:directory", "dir:"),
        ("dir:file", "oci-archive:"),
        ("oci:file:1", "docker-archive:"),
        ("oci-archive:file", "download or create the file again"),
        ("docker-archive:file", "download or create the file again"),
    ],
)
def test_hint_names_the_transport_that_reads_the_path(
    paths: Path, reference: str, expected: str
) -> None:
    error = _failure(paths, reference)

    assert error.hint is not None
    assert expected in error.hint


@pytest.mark.parametrize(
    "reference", ["dir:empty", "oci:empty", "dir:nothing", "oci-archive:nothing"]
)
def test_no_hint_for_unknown_content(paths: Path, reference: str) -> None:
    assert _failure(paths, reference).hint is None


def _failure(paths: Path, reference: str) -> BundlerError:
    transport, _, rest = reference.partition(":")
    parsed = transports.parse(f"{transport}:{paths}/{rest}")
    with (
        pytest.raises(BundlerError) as failure,
        closing(transports.open_source(parsed, OpenOptions(Settings))) as source,
    ):
        source.resolve(parsed.name)
    return failure.value
