"""Write images to a layout."""

from __future__ import annotations

from contextlib import closing

from bundler.ports import Publication
from bundler.transports.oci_layout.transport import LayoutDestination
from tests.contracts import contents


def publish(path, store, *names, annotations=None):
    with closing(LayoutDestination(path)) as destination:
        contents.push_all(destination, store)
        root = store.names["app"]
        destination.commit([Publication(root, names, annotations or {})])
