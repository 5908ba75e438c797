"""Verdicts on generated policies and signatures equal those of Skopeo.

``scripts/torture`` compares thousands of images; here are some dozens.
"""

from __future__ import annotations

import pytest

from tests.interop import servers

pytest.importorskip("pysequoia")


@pytest.mark.parametrize("seed", [1, 2])
def test_verdicts_and_reasons_equal_those_of_skopeo(seed: int) -> None:
    from tests.interop import policy_cases  # noqa: PLC0415 - imports pysequoia

    total, accepted = 0, 0
    for number, differences, counts in policy_cases.compare(seed, 40, servers.program("skopeo")):
        assert [(item.case.reference, item.ours, item.theirs) for item in differences] == []
        total, accepted = total + number, accepted + counts["accepted"]
    assert 0 < accepted < total
