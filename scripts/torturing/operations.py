"""The operations that are interrupted at each system call, with what has to hold afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from scripts.torturing import site as sites
from scripts.torturing.site import UNFINISHED, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Operation:
    """A command that is interrupted."""

    name: str
    words: tuple[object, ...]
    prepare: Callable[[], None]
    """Restores the state before the command."""
    check: Callable[[], str | None]
    """Returns a problem of the state after an interruption, or after success."""
    complete: Callable[[], str | None]
    """Returns a problem of the state after the command has succeeded."""
    written: tuple[Path, ...]
    """The files and directories in which, and beside which, no unfinished file may remain."""


def operations(site: Site) -> Iterator[Operation]:
    """Yield all operations; each prepares its former state when it is reached."""
    for form in ("oci", "dir"):
        yield _first_export(site, f"export {form}", "bundle", "--format", form)
        yield _renewal(site, f"renewal {form}", "bundle", "--format", form)
    yield _first_export(site, "archive", "bundle.airbundle")
    yield _renewal(site, "archive renewal", "bundle.airbundle")
    size = f"{OVERHEAD + 500_000}B"  # for two of the three layers
    yield _first_export(site, "volumes", "bundle", "--volume-size", size, volumes=2)
    yield _renewal(site, "renewal in place", "bundle", "--in-place")
    yield _renewal(site, "renewal with recovery data", "bundle", "--recovery", "20%")
    yield _signing(site)
    yield _import(site, "import")
    yield _import(site, "import over names", over=True)
    yield _repair(site)


def _paths(site: Site, name: str, volumes: int) -> list[Path]:
    return [site.path / name, *(site.path / f"{name}-{n}" for n in range(2, volumes + 1))]


def _first_export(
    site: Site, name: str, destination: str, *options: object, volumes: int = 1
) -> Operation:
    paths = _paths(site, destination, volumes)
    more = [word for path in paths[1:] for word in ("--volume", path)]

    def check() -> str | None:
        state = site.state(*paths)
        return None if state == UNFINISHED or isinstance(state, int) else str(state)

    def complete() -> str | None:
        state = site.state(*paths)
        return None if isinstance(state, int) else str(state)

    words = site.export("next", paths[0], *more, *options)
    return Operation(name, words, lambda: _remove_all(site, paths), check, complete, tuple(paths))


def _renewal(site: Site, name: str, destination: str, *options: object) -> Operation:
    (saved,) = site.saved(f"{name.replace(' ', '-')}-{destination}", "former", *options)
    path = site.path / destination
    former = site.state(saved)
    assert isinstance(former, int), former

    def prepare() -> None:
        _remove_all(site, [path])
        sites.restore(saved, path)

    def check() -> str | None:
        state = site.state(path)
        if isinstance(state, int):
            return None if state >= former else f"serial {state} is lower than {former}"
        return str(state)

    def complete() -> str | None:
        state = site.state(path)
        is_new = isinstance(state, int) and state > former
        return None if is_new else f"not renewed: {state} (former serial {former})"

    return Operation(name, site.export("next", path, *options), prepare, check, complete, (path,))


def _signing(site: Site) -> Operation:
    (saved,) = site.saved("signing", "former")
    path = site.path / "bundle"
    former = site.state(saved)

    def check() -> str | None:
        state = site.state(path)
        return None if state == former else str(state)

    def complete() -> str | None:
        state = site.state(path, key="second")
        problem = None if state == former else str(state)
        return check() or problem

    words = ("sign", path, "--key", site.path / "second.key")
    return Operation("sign", words, lambda: sites.restore(saved, path), check, complete, (path,))


def _import(site: Site, name: str, *, over: bool = False) -> Operation:
    """Import into a layout; with ``over``, into one that has images of a former import."""
    layout, records = site.path / "target", site.path / "records"
    trust = (*site.key, "--records", records)
    former: dict[str, str] = {}
    if over:
        (first,) = site.saved("imported", "former")
        _remove_all(site, [layout, records])
        site.run_well("import", first, f"oci:{layout}", *trust)
        for path in (layout, records):
            sites.restore(path, site.path / "saved" / path.name)
        former = {name: site.images[name].digest for name in ("kept:1", "old:1")}
    (saved,) = site.saved(name.replace(" ", "-"), "next")
    expected = former | {name: site.images[name].digest for name in ("kept:1", "new:1")}

    def prepare() -> None:
        _remove_all(site, [layout, records])
        if over:
            for path in (layout, records):
                sites.restore(site.path / "saved" / path.name, path)

    def check() -> str | None:
        named = sites.read_layout(layout)
        if isinstance(named, str):
            return named
        if not former.items() <= named.items() <= expected.items():
            return f"unexpected names: {named}"
        return None

    def complete() -> str | None:
        named = sites.read_layout(layout)
        if named != expected:
            return f"names after the import: {named}"
        site.run_well("log", "verify", "--records", records)
        return None

    words = ("import", saved, f"oci:{layout}", *trust)
    return Operation(name, words, prepare, check, complete, (layout, records))


def _repair(site: Site) -> Operation:
    """Repair a bundle with a damaged layer, a damaged inventory, and a missing file."""
    (saved,) = site.saved("repaired", "former", "--recovery", "100%")
    path, damaged = site.path / "bundle", site.path / "saved" / "damaged"
    whole = sites.read(saved)
    sites.restore(saved, damaged)
    layers = sorted((damaged / "blobs/sha256").iterdir(), key=lambda file: file.stat().st_size)
    layers[-1].write_bytes(layers[-1].read_bytes()[:-7] + b"damaged")
    layers[0].unlink()
    (damaged / "bundle.json").write_bytes(b"{}")
    kept = {name for name, data in sites.read(damaged).items() if whole[name] == data}

    def check() -> str | None:
        now = sites.read(path)
        lost = [name for name in kept if now.get(name) != whole[name]]
        return f"damaged: {', '.join(lost)}" if lost else None

    def complete() -> str | None:
        now = sites.read(path)
        return None if now == whole else f"different: {now.keys() ^ whole.keys() or 'content'}"

    words = ("repair", path, *site.key)
    return Operation(
        "repair", words, lambda: sites.restore(damaged, path), check, complete, (path,)
    )


def _remove_all(site: Site, paths: list[Path]) -> None:
    """Remove paths, and files that writers keep beside them."""
    sites.remove(*paths)
    for path in paths:
        sites.remove(*site.path.glob(f".{path.name}*"))
