"""Invalid and truncated SIF files are refused."""

from __future__ import annotations

import pytest

from bundler.errors import LimitError, MalformedError, UnsupportedError
from tests.fakes import sif
from tests.transports.sif.reading import open_source


@pytest.mark.parametrize(
    ("objects", "fields", "error"),
    [
        ([], {"magic": b"SIF_MAGIX\0"}, MalformedError),
        ([], {"version": b"02\0"}, UnsupportedError),
        ([], {}, UnsupportedError),
        ([sif.partition(b"x")] * 2, {}, UnsupportedError),
        ([sif.partition(b"x", purpose=1)], {}, UnsupportedError),
        ([sif.partition(b"x", kind=sif.ENCRYPTED)], {}, UnsupportedError),
        ([], {"total": -1}, MalformedError),
        ([], {"total": 9999}, MalformedError),
        ([], {"total": 2**40}, LimitError),
        ([sif.definition("x" * 2_000_000), sif.partition(b"x")], {}, LimitError),
    ],
    ids=[
        "magic",
        "version",
        "no partition",
        "two partitions",
        "no primary partition",
        "encrypted",
        "negative number of objects",
        "descriptors beyond the end",
        "too many objects",
        "large definition",
    ],
)
def test_invalid_file_is_refused(tmp_path, objects, fields, error):
    (tmp_path / "a.sif").write_bytes(sif.pack(*objects, **fields))
    with pytest.raises(error):
        open_source(tmp_path / "a.sif")


@pytest.mark.parametrize(
    ("offset", "number"), [(72, 2**63 - 1), (72, -(2**63)), (72, 2**40), (96, 2**63 - 1)]
)
def test_numbers_out_of_range_are_refused(tmp_path, offset, number):
    """The date at 72, and at 96 where the descriptors begin."""
    data = bytearray(sif.pack(sif.partition(b"x")))
    data[offset : offset + 8] = number.to_bytes(8, "little", signed=True)
    (tmp_path / "a.sif").write_bytes(data)
    with pytest.raises(MalformedError):
        open_source(tmp_path / "a.sif")


def test_truncated_file_is_refused(packed):
    path = packed()
    data = path.read_bytes()
    for end in (0, 100, 5000, len(data) - 5000):
        path.write_bytes(data[:end])
        with pytest.raises(MalformedError):
            open_source(path)
