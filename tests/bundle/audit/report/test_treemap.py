"""The treemap of sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from hypothesis import given, strategies as st

from bundler.bundle.audit.report.treemap import Rectangle, create_treemap, lay_out

if TYPE_CHECKING:
    from bundler.bundle.audit.report.record import Report

AREAS = st.lists(st.floats(1e-3, 1e12), min_size=1, max_size=60)


@given(AREAS, st.floats(10, 2000), st.floats(10, 2000))
def test_areas_are_in_proportion_and_inside(areas: list[float], width: float, height: float):
    areas.sort(reverse=True)
    boxes = lay_out(areas, Rectangle(0, 0, width, height))
    scale = width * height / sum(areas)
    for area, box in zip(areas, boxes, strict=True):
        assert abs(box.width * box.height - area * scale) <= 1e-4 * width * height
        assert box.x >= -1e-6
        assert box.y >= -1e-6
        assert box.x + box.width <= width * (1 + 1e-4)
        assert box.y + box.height <= height * (1 + 1e-4)


def test_drawing_marks_shared_layers(report: Report):
    drawing = ET.fromstring(create_treemap(report, "wide", 1000, 400, 80))
    shared = [item for item in drawing.iter("rect") if item.get("fill") == "url(#hatch-wide)"]
    assert len(shared) == 24
    assert all("shared by 24 images" in (item.findtext("title") or "") for item in shared)
    assert len([item for item in drawing.iter("svg") if item.get("data-image")]) == 30


def test_other_images_are_one_box(report: Report):
    drawing = ET.fromstring(create_treemap(report, "narrow", 340, 400, 8))
    assert len([item for item in drawing.iter("svg") if item.get("data-image")]) == 7
    assert any((item.text or "").startswith("23 more images") for item in drawing.iter("title"))
