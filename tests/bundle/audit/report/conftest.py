"""A report about images that try to run scripts, and a browser to show it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.images import open_images
from bundler.bundle.audit.location import Location
from bundler.bundle.audit.report.collect import collect_report
from bundler.bundle.audit.rules.documents import rules_file, waivers_file
from bundler.bundle.audit.rules.evaluate import evaluate
from bundler.bundle.audit.rules.former import read_former
from bundler.bundle.audit.rules.reading.read_images import read_location
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.events import discard
from bundler.ports import OpenOptions
from bundler.trust.bundle_trust import TrustedKeys
from tests import browser
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.bundle.audit.report.record import Report
    from bundler.trust.keys import PublicKey

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ATTACK = (
    "</script></style></title>--><script>document.title='hit';alert(1)</script>"
    "<img src=https://example.com/x onerror=alert(2)><svg onload=alert(3)>"
    "<a href='javascript:alert(4)'>\"'&amp;\u202e\u2028\x1b[2J\x00\udc80${style}"
)
RULES = """
rules:
  not-root: error
  digest-pinned: warning
  max-age: {days: 25, severity: note}
  forbidden-packages: {packages: [left-pad]}
"""
WAIVERS = """
waivers:
  - code: not-root
    image: docker.io/library/app-0:1
    reason: "<script>alert('reason')</script>"
    author: m.weber
    expires: 2027-01-31
"""


def create_images(number: int = 30) -> dict[str, images.Image]:
    """Create images of which most share a layer with 40 packages; texts contain ``ATTACK``."""
    status = "".join(
        f"Package: lib{n:02}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.{n}\n\n"
        for n in range(40)
    )
    base = images.layer({"var/lib/dpkg/status": status.encode(), "data": b"x" * 100_000})
    named = {}
    for n in range(number):
        package = b'{"name": "left-pad", "version": "1.3.%d<script>alert(5)</script>"}' % n
        own = images.layer(
            {f"srv/<img src=x onerror=alert(6)>{n}/node_modules/p/package.json": package},
            compression="tar",
        )
        text = ATTACK.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        config = {
            "config": {"User": "" if n % 3 == 0 else "app", "Labels": {text: text}},
            "created": f"2026-11-{n % 28 + 1:02}T00:00:00Z",
        }
        layers = (own,) if n % 5 == 0 else (base, own)
        named[f"docker.io/library/app-{n}:1"] = images.image(*layers, config=config)
    return named


def create_report(
    directory: Path,
    named: dict[str, images.Image],
    key: PublicKey | None = None,
    rules: str = RULES,
) -> Report:
    """Audit the bundle ``directory/bundle`` with rules, waivers and a former bundle."""
    gate, waived = directory / "gate.yaml", directory / "waivers.yaml"
    gate.write_text(rules)
    waived.write_text(WAIVERS)
    former = dict(list(named.items())[2:]) | {"docker.io/library/gone:1": images.image()}
    if not (directory / "former").exists():
        bundles.write(directory / "former", former)
    rule_set, since = rules_file.load(gate), read_former(directory / "former")
    trust = None if key is None else TrustedKeys.create([key])
    with (
        open_images(Location((str(directory / "bundle"),)), OpenOptions(Settings), trust) as opened,
        ThreadPoolExecutor(2) as executor,
    ):
        audited = read_location(opened, "contents", executor, Cancellation(), emit=discard, now=NOW)
        audited = replace(audited, former=since.images)
        verdict = evaluate(rule_set, audited, waivers_file.load(waived))
        return collect_report(opened, audited, verdict, since)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    directory = tmp_path_factory.mktemp("report")
    named = create_images()
    bundles.write(directory / "bundle", named)
    return create_report(directory, named)


@pytest.fixture(scope="module")
def browser_page() -> Iterator[browser.Page]:
    with browser.open_browser() as page:
        yield page
