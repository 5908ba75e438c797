"""Invalid and truncated SIF files are refused."""

from __future__ import annotations

import pytest

from bundler.errors import LimitError, MalformedError, UnsupportedError
from tests.fakes import sif
from tests.transports.sif.reading import open_source


@pytest.mark.parametrize(
    ("objects", "fields", "error", "told"),
    [
        ([], {"magic": b"SIF_MAGIX\0"}, MalformedError, "not a SIF file"),
        ([], {"version": b"02\0"}, UnsupportedError, "version"),
        ([], {}, UnsupportedError, "expected 1, got 0"),
        ([sif.partition(b"x")] * 2, {}, UnsupportedError, "expected 1, got 2"),
        ([sif.partition(b"x", purpose=1)], {}, UnsupportedError, "expected 1, got 0"),
        ([sif.partition(b"x", kind=sif.ENCRYPTED)], {}, UnsupportedError, "unencrypted squashfs"),
        ([], {"total": -1}, MalformedError, "damaged"),
        ([], {"total": 9999}, MalformedError, "within its descriptors"),
        ([], {"total": 2**40}, LimitError, "data objects"),
        (
            [sif.definition("x" * 2_000_000), sif.partition(b"x")],
            {},
            LimitError,
            "definition file",
        ),
    ],
)
def test_invalid_file_is_refused(tmp_path, objects, fields, error, told):
    (tmp_path / "a.sif").write_bytes(sif.pack(*objects, **fields))
    with pytest.raises(error, match=told):
        open_source(tmp_path / "a.sif")


@pytest.mark.parametrize(
    ("place", "number"), [(72, 2**63 - 1), (72, -(2**63)), (72, 2**40), (96, 2**63 - 1)]
)
def test_numbers_out_of_range_are_refused(tmp_path, place, number):
    """The date at 72, and at 96 where the descriptors begin."""
    data = bytearray(sif.pack(sif.partition(b"x")))
    data[place : place + 8] = number.to_bytes(8, "little", signed=True)
    (tmp_path / "a.sif").write_bytes(data)
    with pytest.raises(MalformedError, match="damaged"):
        open_source(tmp_path / "a.sif")


def test_truncated_file_is_refused(packed):
    path = packed()
    data = path.read_bytes()
    for end in (0, 100, 5000, len(data) - 5000):
        path.write_bytes(data[:end])
        with pytest.raises(MalformedError):
            open_source(path)
