"""Open images of an engine, and load images into it."""

from __future__ import annotations

from contextlib import closing

from bundler import transports
from bundler.config.settings import Settings
from bundler.ports import OpenOptions, Publication
from bundler.transports.docker_daemon.transport import DaemonDestination, DaemonOptions
from tests.contracts import contents


def create_options(host, **options):
    """Return the options for opening images of the engine at ``host``."""
    return OpenOptions(Settings, transport_options=(DaemonOptions(host),), **options)


def open_source(text, options):
    reference = transports.parse(f"docker-daemon:{text}")
    return transports.open_source(reference, options)


def publish(options, store, *names):
    with closing(DaemonDestination(options)) as destination:
        contents.push_all(destination, store)
        destination.commit([Publication(store.names["app"], names)])
