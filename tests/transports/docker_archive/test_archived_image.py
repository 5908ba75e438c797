"""An inconsistent manifest.json is refused."""

from __future__ import annotations

import pytest

from bundler.errors import LimitError, MalformedError, NotADockerArchiveError, NotFoundError
from tests.transports.docker_archive.archives import image
from tests.transports.handwritten import pack


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"Layers": []}, MalformedError),
        ({"Layers": ["nowhere"]}, NotFoundError),
        ({"Layers": ["../x"]}, MalformedError),
        ({"Config": "nowhere"}, NotFoundError),
        ({"Config": None}, MalformedError),
        ({"RepoTags": ["NOT A TAG"]}, MalformedError),
        ({"Layers": ["x"] * 2000}, LimitError),
        ({"config": "x"}, MalformedError),
    ],
    ids=["fewer", "missing", "parent", "no-config", "null", "tag", "many", "case"],
)
def test_inconsistent_archive_is_refused(opened, entry, error):
    with pytest.raises(error):
        opened(pack(image(b"layer", entry=entry))).resolve()


def test_tar_without_images_is_refused(opened):
    with pytest.raises(NotADockerArchiveError):
        opened(pack({"index.json": b"{}"}))
