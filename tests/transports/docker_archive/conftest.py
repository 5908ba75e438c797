"""Open archives of docker save."""

from __future__ import annotations

import pytest

from bundler.transports.docker_archive.transport import DockerArchiveSource
from tests.transports.docker_archive.archives import OPTIONS


@pytest.fixture
def opened(tmp_path):
    """A function that opens the bytes of an archive as a source, which is closed at the end."""
    sources = []

    def open_archive(data, options=OPTIONS):
        path = tmp_path / "archive"
        path.write_bytes(data)
        sources.append(DockerArchiveSource(path, options))
        return sources[-1]

    yield open_archive
    for source in sources:
        source.close()
