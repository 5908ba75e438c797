"""Rows for bundles: export, repeated export, import, repeated import, verify."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark import contents, table
from scripts.benchmark.bench import skopeo_copy
from scripts.benchmark.measuring import Commands, Contestant, plain_contestant, writing_contestant
from scripts.benchmark.programs import cores, is_old
from scripts.benchmark.table import MB, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.benchmark.bench import Bench


def export(bench: Bench) -> list[Row]:
    """Measure an export of all images from a registry to the disk."""
    work = "export, signed and durable"
    host, out = bench.host, bench.work / "other"
    others: dict[str, Contestant] = {
        name: writing_contestant(out, lambda out, path=path: [_sync(bench, path, out)])
        for name, path in bench.programs.skopeos.items()
    }
    others |= {
        name: writing_contestant(out, lambda out, path=path: [_crane_pull(path, host, out)])
        for name, path in bench.programs.cranes.items()
    }
    ours = writing_contestant(bench.work / "ours", lambda out: [bench.export(host, out)])
    bench.meter.compare(work, {"airbundle": ours, **others})
    return [table.ratio(bench.meter, work, name, _export_must(name)) for name in others]


def archive(bench: Bench) -> list[Row]:
    """Compare an archive with a directory: its export, and its import into an empty registry."""
    host = bench.host
    exported, imported = "export to an archive", "import of an archive"
    file = bench.work / "bundle.airbundle"
    directory = bench.work / "unpacked"  # the same bundle, with the same serial
    directory.mkdir()
    bench.meter.time([bench.export(host, file), ["tar", "-xf", str(file), "-C", str(directory)]])

    def into(bundle: Path) -> Contestant:
        @contextmanager
        def contestant() -> Iterator[Commands]:
            with bench.empty_registry() as target:
                yield [bench.import_(bundle, target)]

        return contestant

    bench.meter.compare(
        exported,
        {
            "airbundle": writing_contestant(
                bench.work / "ours.airbundle", lambda out: [bench.export(host, out)]
            ),
            "directory": writing_contestant(
                bench.work / "ours", lambda out: [bench.export(host, out)]
            ),
        },
    )
    bench.meter.compare(imported, {"airbundle": into(file), "directory": into(directory)})
    return [table.ratio(bench.meter, work, "directory", 1.1) for work in (exported, imported)]


def again(bench: Bench) -> list[Row]:
    """Measure a repeated export into a complete bundle."""
    work = "the same export again"
    ours = plain_contestant([bench.export(bench.host, bench.bundle)])
    bench.meter.compare(
        work, {"airbundle": ours, "verify": plain_contestant([bench.verify(bench.bundle)])}
    )
    return [table.ratio(bench.meter, work, "verify", 2.0)]


def import_(bench: Bench) -> list[Row]:
    """Measure an import into an empty registry, and a repeated import."""
    work, again = "import into an empty registry", "the same import again"
    bundle, skopeos = bench.bundle, bench.programs.skopeos

    @contextmanager
    def ours() -> Iterator[Commands]:
        with bench.empty_registry() as target:
            yield [bench.import_(bundle, target)]

    def other(path: str) -> Contestant:
        @contextmanager
        def contestant() -> Iterator[Commands]:
            with bench.empty_registry() as target:
                yield _skopeo_copies(path, bundle, bench.host, target)

        return contestant

    bench.meter.compare(
        work, {"airbundle": ours, **{name: other(path) for name, path in skopeos.items()}}
    )
    with bench.empty_registry() as target:
        bench.meter.time([bench.import_(bundle, target)])
        repeated, verify = (
            plain_contestant([bench.import_(bundle, target)]),
            plain_contestant([bench.verify(bundle)]),
        )
        bench.meter.compare(again, {"airbundle": repeated, "verify": verify})
    rows = [table.ratio(bench.meter, work, name, 0.55) for name in skopeos]
    return [*rows, table.ratio(bench.meter, again, "verify", 2.0)]


def verify(bench: Bench) -> list[Row]:
    """Compare the hash rate of a verification with openssl on every core."""
    work = "verify"
    blobs = [str(path) for path in (bench.bundle / "blobs/sha256").iterdir()]
    contestants = {
        "airbundle": plain_contestant([bench.verify(bench.bundle)]),
        "openssl": plain_contestant([["openssl", "dgst", "-sha256", *blobs]]),
    }
    bench.meter.compare(work, contestants)
    ours, openssl = (bench.meter.results[work, name] for name in contestants)
    size = sum(Path(blob).stat().st_size for blob in blobs)
    share = openssl.seconds / ours.seconds / cores()
    beside = f"openssl dgst -sha256 x {cores()}: {size / openssl.seconds * cores() / MB:,.0f} MB/s"
    rate = f"{size / ours.seconds / MB:,.0f} MB/s"
    return [Row(f"{work}, rate", rate, beside, f"{share:.2f}", "≥ 0.65", share >= 0.65)]


def _export_must(name: str) -> float:
    if name.startswith("crane"):
        return 1.25
    return 0.18 if is_old(name) else 0.40


def _sync(bench: Bench, skopeo: str, out: Path) -> list[str]:
    tags = [f"v{version}" for version in range(contents.VERSIONS)]
    repositories = {f"app-{number}": tags for number in range(contents.APPLICATIONS)}
    listed = bench.work / "sync.yaml"
    listed.write_text(json.dumps({bench.host: {"tls-verify": False, "images": repositories}}))
    sync = ["sync", "--src", "yaml", "--dest", "dir", "--scoped"]
    return [skopeo, "--insecure-policy", *sync, str(listed), str(out)]


def _crane_pull(crane: str, host: str, out: Path) -> list[str]:
    names = [f"{host}/{name}" for name in contents.NAMES]
    return [crane, "pull", "--format=oci", *names, str(out)]


def _skopeo_copies(skopeo: str, bundle: Path, host: str, target: str) -> Commands:
    return [
        skopeo_copy(skopeo, f"oci:{bundle}:{host}/{name}", f"docker://{target}/{name}", "--all")
        for name in contents.NAMES
    ]
