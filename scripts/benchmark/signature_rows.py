"""Rows for signed images: a verification without a network, and an import with a policy."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from scripts.benchmark import signed_images, table
from scripts.benchmark.bench import skopeo_copy
from scripts.benchmark.measuring import plain_contestant
from scripts.benchmark.programs import is_old

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scripts.benchmark.bench import Bench
    from scripts.benchmark.measuring import Commands, Contestant
    from scripts.benchmark.signed_images import SignedImages
    from scripts.benchmark.table import Row

VERIFIED, IMPORTED = 200, 20
"""Numbers of images."""
UNSIGNED = "without signatures"


def verify(bench: Bench) -> list[Row]:
    """Compare a verification of signed images with one of the same images without signatures."""
    rows = []
    with signed_images.run_registry(bench, VERIFIED, *signed_images.KINDS) as signed:
        offline = ("--offline", *signed.settings(None))
        unsigned = plain_contestant([bench.verify(signed.bundle(signed=False), *offline)])
        for kind in signed_images.KINDS:
            work = f"verify --offline, {VERIFIED} images, {kind}"
            offline = ("--offline", *signed.settings(kind))
            ours = plain_contestant([bench.verify(signed.bundle(signed=True), *offline)])
            bench.meter.compare(work, {"airbundle": ours, UNSIGNED: unsigned})
            rows.append(table.ratio(bench.meter, work, UNSIGNED, 1.3))
    return rows


def import_(bench: Bench) -> list[Row]:
    """Compare an import of signed images with copies of each image by Skopeo."""
    rows = []
    for kind in signed_images.KINDS:
        # Debian 12 builds Skopeo without sigstore.
        skopeos = {
            name: path
            for name, path in bench.programs.skopeos.items()
            if kind == "GPG" or not is_old(name)
        }
        work = f"import of {IMPORTED} images, {kind}"
        with signed_images.run_registry(bench, IMPORTED, kind) as signed:
            settings, bundle = signed.settings(kind), signed.bundle(signed=True)
            creators: dict[str, Callable[[str], Commands]] = {
                name: partial(_copy_images, path, signed, settings)
                for name, path in skopeos.items()
            }
            creators["airbundle"] = partial(_import_bundle, bench, bundle, settings)
            contestants = {
                name: _into_new_registry(bench, create) for name, create in creators.items()
            }
            bench.meter.compare(work, contestants)
        rows += [table.ratio(bench.meter, work, name, 0.6) for name in skopeos]
    return rows


def _import_bundle(bench: Bench, bundle: Path, settings: Sequence[str], target: str) -> Commands:
    return [bench.import_(bundle, target, *settings)]


def _copy_images(
    skopeo: str, signed: SignedImages, settings: Sequence[str], target: str
) -> Commands:
    pairs = [
        (f"docker://{signed.host}/{name}", f"docker://{target}/{name}") for name in signed.names
    ]
    return [skopeo_copy(skopeo, *pair, settings=settings) for pair in pairs]


def _into_new_registry(bench: Bench, create: Callable[[str], Commands]) -> Contestant:
    """Return a contestant whose commands write to an empty registry."""

    @contextmanager
    def contestant() -> Iterator[Commands]:
        with bench.empty_registry() as target:
            yield create(target)

    return contestant
