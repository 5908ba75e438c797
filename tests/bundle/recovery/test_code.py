"""The code as ``docs/format.md`` specifies it, calculated independently."""

from __future__ import annotations

import random

import pytest

from bundler.bundle.recovery import encode
from bundler.bundle.recovery.code import Code
from bundler.bundle.recovery.geometry import Geometry
from tests.fakes.protected_bundle import ProtectedBundle

SIZE = 4096


def multiply(left: int, right: int) -> int:
    product = 0
    while right:
        if right & 1:
            product ^= left
        left = left << 1 ^ (0x11D if left & 0x80 else 0)
        right >>= 1
    return product


def divide(number: int, divisor: int) -> int:
    return next(value for value in range(256) if multiply(value, divisor) == number)


def test_recovery_slices_follow_the_specification():
    data, recovery = 5, 3
    made = random.Random(1)
    slices = [made.randbytes(SIZE) for _ in range(data)]
    encoded = Code(data, recovery).encode(slices)
    for number, found in enumerate(encoded):
        factors = [divide(1, (data + number) ^ column) for column in range(data)]
        for place in range(0, SIZE, 97):
            expected = 0
            for factor, content in zip(factors, slices, strict=True):
                expected ^= multiply(factor, content[place])
            assert found[place] == expected


@pytest.mark.parametrize(("data", "recovery"), [(1, 1), (7, 2), (120, 6), (64, 64)])
def test_any_slices_of_a_codeword_recover_the_others(data, recovery):
    made = random.Random(data)
    code = Code(data, recovery)
    slices = [made.randbytes(SIZE) for _ in range(data)]
    whole = dict(enumerate(slices + code.encode(slices)))
    for _ in range(5):
        lost = made.sample(range(data + recovery), recovery)
        assert code.recover({place: whole[place] for place in whole if place not in lost}) == slices


@pytest.mark.parametrize("percent", [1, 5, 33, 100])
@pytest.mark.parametrize("total", [0, 1, 4096, 1_000_000, 64 << 20, 1_600_000_000, 1 << 41])
def test_geometry_covers_all_content_with_the_requested_share(total, percent):
    geometry = Geometry.choose(total, percent)
    assert geometry.recovery_slices * 100 >= geometry.data_slices * percent
    assert geometry.width <= 128
    assert geometry.rows * geometry.data_slices * geometry.slice_size >= total
    assert geometry.rows * geometry.width * 32 <= 64 << 20
    last = geometry.slices - 1
    assert geometry.offset(*geometry.locate(last)) == last * geometry.slice_size


def test_processes_calculate_the_same_recovery_data(tmp_path, monkeypatch):
    bundles = []
    for name, minimum in {"one": 1 << 40, "several": 0}.items():
        monkeypatch.setattr(encode, "_MIN_PARALLEL", minimum)
        monkeypatch.setattr(encode.os, "sched_getaffinity", lambda _: {0, 1, 2})
        bundles.append(ProtectedBundle(tmp_path / name, "oci", 5, seed=7))
    first, second = (
        {
            path.name: path.read_bytes()
            for path in bundle.recovery.iterdir()
            if "seal" not in path.name
        }
        for bundle in bundles
    )
    assert first == second
