"""Lose slices of bundles with recovery data; ``repair`` restores each file byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import BundlerError, DamagedBundleError
from scripts.torturing.row import Result, Torture, Violations
from tests.fakes.protected_bundle import ProtectedBundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

_SHARES = (5, 20, 100)  # per cent


def slices(torture: Torture, count: int) -> Iterator[Result]:
    """Lose as many slices of each codeword as promised, damage headers, and lose one slice more."""
    with torture.directory() as directory:
        for form in ("oci", "dir"):
            for percent in _SHARES:
                name = f"{form}, {percent} %"
                bundle = ProtectedBundle(directory / f"{form}-{percent}", form, percent, seed=7)
                violations = Violations(f"slices: {name}")
                number = 0
                for case, damage in _create_damages(bundle, torture.random(name), count):
                    number += 1
                    bundle.restore()
                    damage()
                    violations.check(_repair(bundle), case)
                violations.check(_lose_more(bundle), "one slice more")
                yield violations.result(f"{number + 1} damages")


def _create_damages(
    bundle: ProtectedBundle, chosen: Random, count: int
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield damages that can be repaired."""
    most = bundle.count_slices()
    for name, columns in {
        "first slices": lambda _: range(most),
        "last data slices": lambda width: range(width - 2 * most, width - most),
        "recovery slices": lambda width: range(width - most, width),
        "every second slice": lambda width: range(0, width, 2)[:most],
    }.items():
        yield name, lambda columns=columns: bundle.damage_slices(columns)
    for kind in ("files", "digests", "seal"):
        for number in (1, 2):
            yield (
                f"{kind}-{number}",
                lambda kind=kind, number=number: _damage_header(bundle, kind, number),
            )
    for number in range(count):
        yield (
            f"random slices {number}",
            lambda: bundle.damage_slices(lambda width: chosen.sample(range(width), most)),
        )


def _damage_header(bundle: ProtectedBundle, kind: str, number: int) -> None:
    """Damage a table of the recovery data, and as many slices as can be repaired."""
    (path,) = bundle.recovery.glob(f"{kind}-{number}*")
    path.write_bytes(b"damaged")
    most = bundle.count_slices()
    bundle.damage_slices(lambda _: range(most))


def _repair(bundle: ProtectedBundle) -> str | None:
    try:
        bundle.repair().check()
    except BundlerError as error:
        return str(error)
    whole, found = bundle.read(bundle.original), bundle.read()
    different = [name for name in whole.keys() | found.keys() if whole.get(name) != found.get(name)]
    return f"different: {', '.join(different)}" if different else None


def _lose_more(bundle: ProtectedBundle) -> str | None:
    """Lose one slice more than can be repaired: the lost images are named."""
    bundle.restore()
    most = bundle.count_slices()
    bundle.damage_slices(lambda width: [0, *range(width - most, width)])
    try:
        bundle.repair().check()
    except DamagedBundleError as error:
        is_named = any("registry.corp/" in line for line in error.findings)
        return None if is_named else f"no image is named: {error.findings}"
    return "repaired"
