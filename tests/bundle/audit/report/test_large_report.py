"""The report about a bundle of 1,000 images stays small, and opens quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.report.page import create_page
from tests.bundle.audit.report.conftest import create_report
from tests.fakes import application_images, bundles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser import Page

pytestmark = pytest.mark.interop

MAX_SIZE = 12_000_000
MAX_SECONDS = 2.0


@pytest.mark.thorough
def test_report_of_1000_images_is_small_and_opens_quickly(browser_page: Page, tmp_path: Path):
    named = application_images.create_images()
    bundles.write(tmp_path / "bundle", named)
    report = create_report(tmp_path, named, rules=application_images.RULES)
    path = tmp_path / "report.html"
    path.write_text(create_page(report), encoding="utf-8")
    assert report.verdict is not None
    print(
        f"{len(report.images):,} images, {len(report.packages):,} packages, {len(report.layers):,}"
        f" layers, {len(report.verdict.findings):,} findings: {path.stat().st_size:,} bytes"
    )
    assert path.stat().st_size <= MAX_SIZE
    for _ in range(3):
        elapsed = browser_page.open(path.as_uri())
        work = browser_page.measure_work()
        print(f"opened in {elapsed:.2f} s, of which the page worked {work:.2f} s")
        assert work <= MAX_SECONDS
    assert browser_page.messages == []
    for action in (
        (
            "const i = document.querySelector('#packages input'); i.value = 'part-7';"
            " i.dispatchEvent(new Event('input'))"
        ),
        "document.querySelector('[data-table=packages] thead button').click()",
        "document.querySelector('#packages .more').click()",
    ):
        milliseconds = browser_page.run(
            f"(() => {{ const start = performance.now(); {action};"
            " document.body.offsetHeight; return performance.now() - start; })()"
        )
        print(f"{action[:60]}: {milliseconds:.0f} ms")
        assert milliseconds <= 1_000
