"""Compare verdicts on generated policies and signed images with those of Skopeo."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

from scripts.torturing.row import Result, Torture
from tests.interop import compare_sigstore_verdicts, policy_cases, scope_cases

if TYPE_CHECKING:
    from collections.abc import Iterator


def policies(torture: Torture, count: int) -> Iterator[Result]:
    """Compare the verdicts on policies of simple signing."""
    yield _compare_policies(torture, count, "policies", sigstore=False)


def sigstore(torture: Torture, count: int) -> Iterator[Result]:
    """Compare the verdicts on policies that also require sigstore keys."""
    yield _compare_policies(torture, count, "sigstore", sigstore=True)


def certificates(torture: Torture, count: int) -> Iterator[Result]:
    """Compare the verdicts on altered sigstore signatures."""
    different = compare_sigstore_verdicts.compare(
        torture.seed, count, torture.skopeo, torture.record
    )
    yield _create_result("certificates", f"{count:,} signatures", different)


def scopes(torture: Torture, count: int) -> Iterator[Result]:
    """Compare the verdicts on scopes of all transports."""
    different = scope_cases.compare(torture.seed, count, torture.skopeo, torture.record)
    yield _create_result("scopes", f"{count:,} scopes", different)


def _compare_policies(torture: Torture, count: int, name: str, *, sigstore: bool) -> Result:
    total, different, counts = 0, 0, Counter[str]()
    for number, differences, reasons in policy_cases.compare(
        torture.seed, count, torture.skopeo, sigstore=sigstore
    ):
        total, different, counts = total + number, different + len(differences), counts + reasons
        for difference in differences:
            print(difference)
        print(f"\r{total} images, {different} different", end="", file=sys.stderr)
    print(f"\nseed {torture.seed}: {dict(counts)}")
    return _create_result(name, f"{total:,} images", different)


def _create_result(name: str, count: str, different: int) -> Result:
    return Result(name, count, f"{different} verdicts differ", "0", different == 0)
