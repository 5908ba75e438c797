"""Flip bits of bundles at random places; ``verify`` has to find each, and name the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bundler.bundle.verifying.verify import verify
from bundler.errors import BundlerError
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from scripts.torturing.row import Result, Torture, Violations
from scripts.torturing.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FORMS = {
    "directory": ("bundle", ()),
    "directory with recovery data": ("protected", ("--recovery", "20%")),
    "dir: tree": ("tree", ("--format", "dir")),
    "archive": ("bundle.airbundle", ()),
}


def bit_flips(torture: Torture, count: int) -> Iterator[Result]:
    """Flip one bit at a time; small files, such as signatures, are chosen as often as layers."""
    with torture.directory() as directory:
        site = Site(directory)
        key = keys.parse_public_key((directory / "first.pub").read_bytes(), "first.pub")
        for form, (name, options) in _FORMS.items():
            (bundle,) = site.saved(name, "former", *options)
            chosen = torture.random("flips", form)
            files = [path for path in bundle.rglob("*") if path.is_file()] or [bundle]
            violations = Violations(f"bit-flips: {form}")
            for _ in range(count):
                path = chosen.choice(sorted(files))
                place = chosen.randrange(8 * path.stat().st_size)
                _flip(path, place)
                problem = _check(bundle, path, TrustedKeys.create([key]))
                _flip(path, place)
                violations.check(problem, f"{path.relative_to(directory)}, bit {place:,}")
            verify(bundle, TrustedKeys.create([key])).check()
            yield violations.result(f"{count:,} flips")


def _flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place // 8)
        byte = file.read(1)[0]
        file.seek(place // 8)
        file.write(bytes([byte ^ 1 << place % 8]))


def _check(bundle: Path, path: Path, trust: TrustedKeys) -> str | None:
    """Return a problem if the flip is not found, or if the file is not named."""
    try:
        found = verify(bundle, trust)
        found.check()
    except BundlerError as error:
        lines = [str(error), *getattr(error, "findings", ())]
        name = str(path.relative_to(bundle)) if bundle.is_dir() else path.name
        if any(name in line for line in lines) or not bundle.is_dir():
            return None
        return f"not named: {json.dumps(lines)}"
    return "not found"
