"""A treemap of the content by image and layer, as SVG.

The area of a layer that several images share is divided between them, so that all areas together
are the stored content. The layout is that of squarified treemaps:
https://doi.org/10.1007/978-3-7091-6783-0_4
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.markup import create_element, to_html
from bundler.errors import count, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.audit.report.record import Report, ReportedLayer

_HEADING = 17.0  # height of the name of an image
_CHARACTER = 6.1  # mean width of a character of the names
_MOST_LAYERS = 60  # of one image; the others are drawn as one
_MIN_SIDE = 2.0  # shorter sides are not drawn


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in units of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Tile:
    """An image, or the rest of the images, with the shares of its layers."""

    name: str
    title: str
    number: int | None
    """The position of the image; None: the rest of the images."""
    shares: tuple[tuple[float, ReportedLayer | None], ...]

    @property
    def area(self) -> float:
        return sum(share for share, _ in self.shares)


def lay_out(areas: Sequence[float], within: Rectangle) -> list[Rectangle]:
    """Divide a rectangle in proportion to ``areas``, which are positive and descending."""
    found: list[Rectangle] = []
    start, rest = 0, within
    while start < len(areas):
        total, side = sum(areas[start:]), min(rest.width, rest.height)
        scale = rest.width * rest.height / total
        end = start + 1
        while end < len(areas) and _find_worst(areas[start : end + 1], side, scale) <= _find_worst(
            areas[start:end], side, scale
        ):
            end += 1
        row, in_row = areas[start:end], sum(areas[start:end])
        is_column = rest.width >= rest.height
        depth = max(rest.width, rest.height) * in_row / total
        offset = 0.0
        for area in row:
            length = side * area / in_row
            if is_column:
                found.append(Rectangle(rest.x, rest.y + offset, depth, length))
            else:
                found.append(Rectangle(rest.x + offset, rest.y, length, depth))
            offset += length
        if is_column:
            rest = Rectangle(rest.x + depth, rest.y, max(rest.width - depth, 0.0), rest.height)
        else:
            rest = Rectangle(rest.x, rest.y + depth, rest.width, max(rest.height - depth, 0.0))
        start = end
    return found


def _find_worst(row: Sequence[float], side: float, scale: float) -> float:
    """Return the largest ratio of the sides of the rectangles in one row."""
    total = sum(row) * scale
    if not total or not side:
        return float("inf")
    square = side * side
    return max(
        square * max(row) * scale / (total * total), total * total / (square * min(row) * scale)
    )


def create_treemap(report: Report, name: str, width: int, height: int, most: int) -> str:
    """Return the drawing with at most ``most`` images; ``name`` distinguishes its identifiers.

    Empty if there is no content.
    """
    tiles = list(_create_tiles(report, most))
    if not tiles:
        return ""
    whole = Rectangle(0.0, 0.0, float(width), float(height))
    boxes = lay_out([tile.area for tile in tiles], whole)
    drawn = "".join(
        _draw_tile(tile, box, name, report) for tile, box in zip(tiles, boxes, strict=True)
    )
    pattern = create_element(
        "pattern",
        '<rect class="shared-ground" width="6" height="6"/>'
        '<path class="shared-line" d="M-1 7 7 -1M-1 1 1 -1M5 7 7 5"/>',
        id=f"hatch-{name}",
        width="6",
        height="6",
        patternUnits="userSpaceOnUse",
    )
    return create_element(
        "svg",
        f"<defs>{pattern}</defs>{drawn}",
        class_=f"treemap {name}",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=f"Treemap of {format_size(report.total_size)} by image and layer. The tables of"
        " images and layers contain the same sizes.",
    )


def _create_tiles(report: Report, most: int) -> Iterator[_Tile]:
    shares: list[list[tuple[float, ReportedLayer | None]]] = [[] for _ in report.images]
    for layer in report.layers:
        if layer.size > 0:
            for number in layer.images:
                shares[number].append((layer.size / len(layer.images), layer))
    numbers = sorted(
        (number for number, found in enumerate(shares) if found),
        key=lambda number: -sum(share for share, _ in shares[number]),
    )
    whole = most if len(numbers) <= most else most - 1
    for number in numbers[:whole]:
        image = report.images[number]
        title = f"{image.audited.name}: {format_size(image.sizes.size)}"
        if image.sizes.shared:
            title += f", of which {format_size(image.sizes.shared)} are shared with other images"
        ordered = sorted(shares[number], key=lambda pair: -pair[0])
        small = sum(share for share, _ in ordered[_MOST_LAYERS:])
        ordered[_MOST_LAYERS:] = [(small, None)] if small else []
        yield _Tile(_shorten(image.audited.name), title, number, tuple(ordered))
    rest = numbers[whole:]
    if rest:
        area = sum(share for number in rest for share, _ in shares[number])
        label = count(len(rest), "more image")
        yield _Tile(label, f"{label}: {format_size(area)}", None, ((area, None),))


def _shorten(name: str) -> str:
    """Return the end of a name, with the tag or the first digits of the digest."""
    name, _, digest = name.partition("@")
    short = name.rpartition("/")[2]
    return short if ":" in short or not digest else f"{short}@{digest[7:15]}"


def _draw_tile(tile: _Tile, box: Rectangle, name: str, report: Report) -> str:
    if min(box.width, box.height) < _MIN_SIDE:
        return ""
    inner = Rectangle(0.0, 0.0, box.width - 2, box.height - 2)
    has_heading = inner.width > 44 and inner.height > _HEADING * 1.8
    top = _HEADING if has_heading else 0.0
    area = Rectangle(0.0, top, inner.width, inner.height - top)
    places = lay_out([share for share, _ in tile.shares], area)
    layers = "".join(
        _draw_layer(layer, place, name, report)
        for (_, layer), place in zip(tile.shares, places, strict=True)
        if min(place.width, place.height) >= _MIN_SIDE
    )
    heading = ""
    if has_heading:
        most = int((inner.width - 8) / _CHARACTER)
        label = tile.name if len(tile.name) <= most else f"{tile.name[: max(most - 1, 1)]}…"
        heading = f'<text x="4" y="12">{to_html(label)}</text>'
    frame = f'<rect class="tile" width="{inner.width:.1f}" height="{inner.height:.1f}"/>'
    content = f"<title>{to_html(tile.title)}</title>{frame}{layers}{heading}"
    attributes = {} if tile.number is None else {"data_image": str(tile.number)}
    return create_element(
        "svg",
        content,
        x=f"{box.x + 1:.1f}",
        y=f"{box.y + 1:.1f}",
        width=f"{inner.width:.1f}",
        height=f"{inner.height:.1f}",
        **attributes,
    )


def _draw_layer(layer: ReportedLayer | None, place: Rectangle, name: str, report: Report) -> str:
    position = (
        f'x="{place.x + 0.5:.1f}" y="{place.y + 0.5:.1f}"'
        f' width="{place.width - 1:.1f}" height="{place.height - 1:.1f}"'
    )
    if layer is None:
        return f'<rect class="rest" {position}/>'
    title = f"{layer.digest[:19]}: {format_size(layer.size)}"
    if len(layer.images) == 1:
        title += f", only in {report.images[layer.images[0]].audited.name}"
        return f'<rect class="own" {position}><title>{to_html(title)}</title></rect>'
    title += f", shared by {len(layer.images):,} images"
    return f'<rect fill="url(#hatch-{name})" {position}><title>{to_html(title)}</title></rect>'
