"""Open archives of layouts."""

from __future__ import annotations

from bundler import transports
from bundler.ports import OpenOptions

OPTIONS = OpenOptions(load_settings=None)


def opened_source(path, options=OPTIONS):
    reference = transports.parse(f"oci-archive:{path}")
    return transports.open_source(reference, options)
