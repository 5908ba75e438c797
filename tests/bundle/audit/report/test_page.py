"""The page as a browser shows it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.report.page import create_page
from bundler.bundle.audit.report.record import Report
from tests.bundle.audit.report.conftest import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.browser import Page

pytestmark = pytest.mark.interop

NARROW, WIDE = 360, 1200


@pytest.fixture(scope="module")
def file(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(create_page(report), encoding="utf-8")
    return path


@pytest.fixture
def page(file: Path, browser_page: Page) -> Iterator[Page]:
    """The page, wide and light. At the end, no text of an image has run or requested anything."""
    browser_page.set_scripts(enabled=True)
    browser_page.set_media()
    browser_page.set_width(WIDE)
    browser_page.open(file.as_uri())
    yield browser_page
    assert browser_page.dialogs == []
    assert browser_page.messages == []
    assert browser_page.urls == [file.as_uri()]
    assert browser_page.run("document.title").startswith("Does not pass: ")


def read_column(page: Page, table: str, column: int) -> list[str]:
    return page.run(
        f"[...document.querySelectorAll('[data-table={table}] tbody tr')]"
        f".map(row => row.cells[{column}].textContent)"
    )


def test_verdict_and_digests_are_shown(page: Page, report: Report):
    text = page.run("document.body.innerText")
    assert report.bundle is not None
    assert report.verdict is not None
    assert "Does not pass" in text
    for digest in (report.bundle.digest, report.verdict.rules.digest):
        assert digest.text in text
    assert "No check for known vulnerabilities was made." in text


def test_texts_of_images_are_only_text(page: Page):
    """Texts that end elements, open elements or contain control characters are shown as such."""
    page.run("document.querySelectorAll('.more').forEach(button => button.click())")
    assert (
        page.run("document.querySelectorAll('img, iframe, object, script[src], [onerror]').length")
        == 0
    )
    assert page.run("document.scripts.length") == 3
    shown = page.run("document.getElementById('platforms').textContent")
    assert "</script></style>" in shown
    assert r"\u202e" in shown
    assert r"\x1b[2J" in shown
    assert "\u202e" not in shown
    assert "left-pad@1.3.1<script>alert(5)</script>" in page.run(
        "document.getElementById('findings').textContent"
    ).replace("%3C", "<").replace("%3E", ">").replace("%28", "(").replace("%29", ")").replace(
        "%2F", "/"
    )


@pytest.mark.parametrize(
    "attack",
    [
        (
            "document.body.appendChild(Object.assign(document.createElement('script'),"
            " {text: 'document.title = 1'}))"
        ),
        "document.body.innerHTML = '<img src=x onerror=\"document.title = 1\">'",
        "document.body.setAttribute('onclick', 'document.title = 1'); document.body.click()",
        "fetch('https://127.0.0.1:1/').catch(() => {})",
        "new Image().src = 'https://127.0.0.1:1/x.png'",
    ],
)
def test_policy_blocks_scripts_and_requests(file: Path, browser_page: Page, attack: str):
    """Even a script that ran in the page could not add others, or send something."""
    browser_page.set_scripts(enabled=True)
    browser_page.open(file.as_uri())
    browser_page.run(
        f"(() => {{ try {{ {attack} }} catch (error) {{ console.error(String(error)) }} }})()"
    )
    browser_page.run("new Promise(done => setTimeout(done, 100))")
    assert browser_page.messages != []
    assert browser_page.run("document.title") != "1"
    assert [url for url in browser_page.urls if url != file.as_uri()] == []


def test_table_is_sorted_by_keyboard(page: Page):
    page.run("document.querySelector('[data-table=images] thead th:nth-child(5) button').focus()")
    page.press("Enter")
    assert (
        page.run("document.querySelector('[data-table=images] th[aria-sort]').ariaSort")
        == "descending"
    )
    assert read_column(page, "images", 4)[:2] == ["41", "41"]
    page.press("Enter")
    assert (
        page.run("document.querySelector('[data-table=images] th[aria-sort]').ariaSort")
        == "ascending"
    )
    assert read_column(page, "images", 4)[:2] == ["1", "1"]
    assert page.run("document.activeElement.textContent") == "Packages"


def test_sizes_are_sorted_by_number(page: Page, report: Report):
    page.run("document.querySelector('[data-table=images] thead th:nth-child(3) button').click()")
    largest = min(report.images, key=lambda image: -image.sizes.size)
    assert read_column(page, "images", 0)[0] in {
        image.audited.name for image in report.images if image.sizes.size == largest.sizes.size
    }


def test_severities_are_sorted_by_rank(page: Page):
    for expected in ("error", "note"):
        page.run("document.querySelector('[data-table=findings] thead button').click()")
        assert read_column(page, "findings", 0)[0] == expected


def test_filter_selects_rows(page: Page):
    page.run("document.querySelector('#packages input').focus()")
    page.type_text("LIB07")
    assert read_column(page, "packages", 0) == ["lib07"]
    assert page.run("document.querySelector('#packages .status').textContent") == "1 of 70 rows"
    page.type_text(" nothing")
    assert read_column(page, "packages", 0) == []


def test_choice_selects_rows(page: Page):
    page.run(
        "const s = document.querySelector('#findings select');"
        "s.value = [...s.options].find(o => o.text === 'note').value;"
        "s.dispatchEvent(new Event('change'))"
    )
    assert set(read_column(page, "findings", 0)) == {"note"}


def test_pages_are_turned(page: Page):
    first = read_column(page, "packages", 0)
    page.run("[...document.querySelectorAll('#packages .pager button')].at(-1).click()")
    second = read_column(page, "packages", 0)
    assert first != second
    assert page.run("document.querySelector('#packages .pager span').textContent") == "Page 2 of 3"


def test_images_of_a_package_are_listed(page: Page):
    page.run("document.querySelector('#packages input').focus()")
    page.type_text("lib07")
    page.run("document.querySelector('#packages .more').focus()")
    page.press("Enter")
    details = page.run("document.querySelector('#packages .details').innerText")
    assert "In 24 images" in details
    assert "docker.io/library/app-1:1" in details
    assert "docker.io/library/app-5:1" not in details
    page.press("Enter")
    assert page.run("document.querySelector('#packages .details')") is None


def test_treemap_selects_an_image(page: Page):
    page.run("document.querySelector('.wide svg[data-image]').dispatchEvent(new Event('click'))")
    assert len(read_column(page, "images", 0)) < 12


def test_tab_reaches_the_skip_link_first(page: Page):
    page.press("Tab")
    assert page.run("document.activeElement.className") == "skip"
    assert page.run("document.activeElement.getBoundingClientRect().left") >= 0
    page.press("Enter")
    assert page.run("document.activeElement.id") == "content"


def test_parts_have_roles_and_names(page: Page):
    """The accessibility tree has landmarks, named tables, and column headers that can be sorted."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    roles = {role for role, _ in found}
    assert {"banner", "main", "navigation", "contentinfo", "status", "searchbox"} <= roles
    tables = [name for role, name in found if role == "table"]
    assert len(tables) >= 8
    assert all(tables)
    assert all(
        name for role, name in found if role in ("columnheader", "button", "image", "region")
    )


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_page_fits_and_has_contrast(page: Page, file: Path, width: int, dark: bool):
    page.set_width(width)
    page.set_media(dark=dark)
    page.open(file.as_uri())
    assert page.run("document.documentElement.scrollWidth") <= width
    ratios = page.run(_CONTRAST)
    assert ratios
    assert min(ratio for ratio, _ in ratios) >= 4.5, sorted(ratios)[:5]


def test_without_scripts_the_results_are_shown(file: Path, browser_page: Page, report: Report):
    browser_page.set_media()
    browser_page.set_scripts(enabled=False)
    browser_page.open(file.as_uri())
    nodes = browser_page.call("DOM.getDocument", depth=-1)["root"]
    browser_page.set_scripts(enabled=True)
    text = browser_page.call("DOM.getOuterHTML", nodeId=nodes["nodeId"])["outerHTML"]
    assert 'class="loading"' not in text, "rows are hidden"
    body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "Does not pass" in body
    assert report.verdict is not None
    assert body.count('class="severity') >= len(report.verdict.findings)
    for image in report.images:
        assert f">{image.audited.name}</td>" in body


def test_print_contains_all_findings(page: Page, report: Report):
    """On paper, a table is not divided into pages of the script."""
    assert report.verdict is not None
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    number = len(report.verdict.findings)
    assert len(read_column(page, "findings", 0)) == number
    status = page.run("document.querySelector('#findings .status').textContent")
    assert status == f"{number} of {number} rows are printed"
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert len(read_column(page, "findings", 0)) == 25
    assert page.print_pdf().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"verdict": None}, "No rules were given"),
        ({"problem": "b: <b>damaged</b>"}, "Not verified"),
    ],
)
def test_other_verdicts(
    browser_page: Page, tmp_path: Path, report: Report, change: dict[str, object], title: str
):
    path = tmp_path / "report.html"
    path.write_text(create_page(replace(report, **change)), encoding="utf-8")  # type: ignore[arg-type]
    browser_page.open(path.as_uri())
    assert browser_page.messages == []
    assert browser_page.run("document.getElementById('verdict').textContent") == title


def test_empty_report_is_a_page(browser_page: Page, tmp_path: Path):
    path = tmp_path / "report.html"
    path.write_text(create_page(Report("b", NOW)), encoding="utf-8")
    browser_page.open(path.as_uri())
    assert browser_page.messages == []
    assert "There are no images." in browser_page.run("document.body.innerText")


# The contrast of each text with the ground behind it, as WCAG 2 defines it.
_CONTRAST = """
(() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const linear = value => value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = colour => {
    const [red, green, blue] = colour.slice(0, 3).map(value => linear(value / 255));
    return .2126 * red + .7152 * green + .0722 * blue;
  };
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const names = 'h1, h2, p, a, b, dt, dd, caption, th, td, label, button, .severity';
  const found = [];
  for (const element of document.querySelectorAll(names)) {
    if (!element.innerText || element.disabled || !element.offsetParent) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    found.push([(Math.max(a, b) + .05) / (Math.min(a, b) + .05), element.outerHTML.slice(0, 80)]);
  }
  return found;
})()
"""
