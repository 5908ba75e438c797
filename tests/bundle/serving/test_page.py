"""The page of a server as a browser shows it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.serving.server import RegistryServer
from bundler.cancel import Cancellation
from bundler.errors import CancelledError
from bundler.events import discard
from tests import browser
from tests.fakes import bundles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bundle.serving.conftest import OpenBundles

pytestmark = pytest.mark.interop

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e"


@pytest.fixture
def url(tmp_path: Path, open_bundles: OpenBundles) -> Iterator[str]:
    """The address of a server whose bundle has a directory with a hostile name."""
    directory = bundles.write(tmp_path / HOSTILE.replace("/", "\u2215"))
    cancellation = Cancellation()
    server = RegistryServer(
        "127.0.0.1", 0, open_bundles(directory), cancellation=cancellation, emit=discard
    )

    def run() -> None:
        with suppress(CancelledError):
            server.run()

    with server:
        thread = threading.Thread(target=run)
        thread.start()
        yield server.url
        cancellation.request()
        thread.join()


def test_page_is_readable_and_runs_nothing(url: str):
    with browser.open_browser() as page:
        for width, dark in ((360, False), (1200, True)):
            page.set_width(width)
            page.set_media(dark=dark)
            page.open(url)
            assert page.run("document.documentElement.scrollWidth") <= width
        assert (page.messages, page.dialogs, page.urls) == ([], [], [url])
        assert page.run("document.querySelectorAll('script, img').length") == 0
        text = page.run("document.body.innerText")
        assert "podman pull --tls-verify=false 127.0.0.1:" in text
        assert r"\u202e" in text
        nodes = page.call("Accessibility.getFullAXTree")["nodes"]
        roles = {node["role"]["value"] for node in nodes if not node["ignored"]}
        assert {"main", "table", "columnheader", "rowheader", "cell"} <= roles
