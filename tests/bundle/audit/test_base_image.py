"""The base image, found by its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, cast

import pytest

from bundler.bundle.audit.base_image import find_base_image
from bundler.bundle.audit.images import open_images
from bundler.bundle.audit.location import Location
from bundler.bundle.audit.platforms import list_platforms
from bundler.config.settings import Settings
from bundler.errors import CancelledError
from bundler.events import discard
from bundler.ports import OpenOptions
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.audit.images import OpenImage

LAYERS = [images.layer({name: name.encode()}) for name in "abc"]
HOST = "registry.corp:5000"


class _InterruptedImage:
    def resolve(self, _: object) -> NoReturn:
        raise CancelledError


def test_cancellation_ends_the_search(tmp_path: Path):
    bundle = bundles.write(tmp_path / "b", {f"{HOST}/a:1": images.image(*LAYERS)})
    with open_images(Location((str(bundle),)), OpenOptions(Settings)) as found:
        (image,) = list_platforms(found.images[0].resolve(discard))
        with pytest.raises(CancelledError):
            find_base_image(image, [cast("OpenImage", _InterruptedImage())], discard)


def _find(directory: Path, name: str) -> tuple[str, int] | None:
    with open_images(Location((str(directory),)), OpenOptions(Settings)) as found:
        (image,) = list_platforms(found.find(name).resolve(discard))
        base = find_base_image(image, found.images, discard)
        return base and (base.name, base.layers)


def test_base_image_has_the_longest_beginning_of_the_layers(tmp_path: Path):
    named = {
        f"{HOST}/{name}:1": images.image(*layers, config={"author": name})
        for name, layers in {
            "a": LAYERS[:1],
            "ab": LAYERS[:2],
            "abc": LAYERS,
            "copy": LAYERS,
            "b": LAYERS[1:],
        }.items()
    }
    bundle = bundles.write(tmp_path / "b", named)
    assert _find(bundle, "abc:1") == (f"{HOST}/ab:1", 2)
    assert _find(bundle, "ab:1") == (f"{HOST}/a:1", 1)
    assert _find(bundle, "a:1") is None
    assert _find(bundle, "b:1") is None


def test_image_that_cannot_be_read_is_no_base_image(tmp_path: Path):
    named = {f"{HOST}/{name}": images.image(*LAYERS[:n]) for n, name in ((1, "a"), (2, "ab"))}
    bundle = bundles.write(tmp_path / "b", named)
    (bundle / "blobs/sha256" / named[f"{HOST}/a"].digest.removeprefix("sha256:")).unlink()
    assert _find(bundle, "ab") is None
