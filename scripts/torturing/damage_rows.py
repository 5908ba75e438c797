"""Damage one file of a bundle at a time; another export, or a repair, makes it whole again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.torturing import command, site as sites
from scripts.torturing.row import Result, Torture, Violations
from scripts.torturing.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FORMS = {
    "oci": ("--format", "oci"),
    "dir": ("--format", "dir"),
    "oci with recovery data": ("--recovery", "100%"),
    "dir with recovery data": ("--format", "dir", "--recovery", "100%"),
}


def damage(torture: Torture, count: int) -> Iterator[Result]:
    """Flip a bit in the middle of each file, empty it, and remove it."""
    with torture.directory() as directory:
        site = Site(directory)
        for form, options in _FORMS.items():
            (saved,) = site.saved(form.replace(" ", "-"), "former", *options)
            names = sorted(sites.read(saved))[: count or None]
            exports = Violations(f"damage: export {form}")
            repairs = Violations(f"damage: repair {form}")
            for name in names:
                for kind in ("flipped", "empty", "missing"):
                    words = site.export("former", directory / "bundle", *options)
                    problem = _restore(site, saved, name, kind, words)
                    exports.check(problem, f"{name} {kind}")
                    if "--recovery" in options:
                        words = ("repair", directory / "bundle", *site.key)
                        problem = _restore(site, saved, name, kind, words)
                        repairs.check(problem, f"{name} {kind}")
            yield exports.result(f"{3 * len(names)} damages")
            if "--recovery" in options:
                yield repairs.result(f"{3 * len(names)} damages")


def _restore(
    site: Site, saved: Path, name: str, kind: str, words: tuple[object, ...]
) -> str | None:
    """Damage a copy of the bundle and run a command; return a problem of the bundle then."""
    bundle = site.path / "bundle"
    sites.restore(saved, bundle)
    _damage(bundle / name, kind)
    ended = command.run_announced(site.path, *words)
    state = site.state(bundle)
    if ended.status != 0 or not isinstance(state, int):
        return f"status {ended.status}: {ended.output[:300]!r}, {state}"
    return None


def _damage(path: Path, kind: str) -> None:
    data = bytearray(path.read_bytes())
    path.unlink()
    if kind == "flipped":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif kind == "empty":
        path.touch()
