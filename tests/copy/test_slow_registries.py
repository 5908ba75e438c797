"""Blobs of registries that make no progress: all requests of a transfer share one limit."""

from __future__ import annotations

import threading
import time
from contextlib import closing, suppress

import pytest

from bundler.cancel import Cancellation
from bundler.config.registry_access import RegistryLimits, RegistryOverride
from bundler.config.settings import Settings
from bundler.copy.blob_transfer import push_blob
from bundler.errors import StalledError
from bundler.events import discard
from bundler.oci.digest import Digest
from bundler.ports import Node, OpenOptions
from bundler.transports.docker.transport import TRANSPORT
from tests.fakes.memory import MemoryStore
from tests.fakes.registry import FakeRegistry
from tests.registry.test_slow_servers import OK, Late, serving

LIMITS = RegistryLimits(response_timeout=1.0, stall_timeout=0.3, min_bytes_per_second=1000)
DATA = b"x" * 100
"""At the minimum rate, it makes up for little of the time that it takes."""


def open_repository(server, kind):
    """Open a repository as a ``source`` or a ``destination``."""
    override = RegistryOverride(plain_http=True, limits=LIMITS)
    options = OpenOptions(Settings, overrides={server.host: override})
    reference = TRANSPORT.parse(f"//{server.host}/library/app:1")
    return closing(getattr(TRANSPORT, kind)(reference, options))


def push(source, destination):
    """Push a blob, which must fail; return the error and the time that it took."""
    node = Node("layer", "application/octet-stream", Digest.of(DATA), len(DATA))
    begun = time.monotonic()
    with pytest.raises(StalledError) as raised:
        push_blob(node, source, destination, Cancellation(), discard)
    return raised.value, time.monotonic() - begun


@pytest.mark.parametrize("wait", [0.5, 0.9])
def test_reopened_blob_shares_the_limit(wait):
    """Each response begins before the limit, and its body stalls after a few bytes.

    The limit is exceeded after the blob was reopened, or within the first response.
    """
    late = Late(wait, OK + b"Content-Length: 100\r\n\r\n", b"x" * 10)
    with serving(late) as server, open_repository(server, "source") as source:
        error, passed = push(source, MemoryStore().destination())
    assert (error.limit, error.unavailable_for) == (1.0, None)
    assert passed < 2


def test_requests_of_an_upload_share_the_limit():
    store = MemoryStore()
    store.add_blob(DATA)
    with FakeRegistry() as registry, open_repository(registry, "destination") as destination:
        registry.fail("POST", delay=0.7)
        registry.fail("PUT", delay=0.7)
        error, _ = push(store.source(), destination)
    assert error.limit == 1.0


def test_waits_for_the_rate_limit_of_another_request_count():
    """A registry that demands a wait delays the requests of all threads."""
    with FakeRegistry() as registry, open_repository(registry, "source") as source:
        registry.fail("GET", "/manifests/", status=429, headers={"Retry-After": "1"})
        registry.fail("GET", "/blobs/", delay=0.9)
        registry.add_image("library/app", "1", [DATA])

        def resolve():
            with suppress(StalledError):  # its own wait reaches the limit
                source.resolve()

        resolving = threading.Thread(target=resolve)
        resolving.start()
        while not registry.count("GET", "/manifests/"):
            time.sleep(0.01)
        time.sleep(0.1)
        error, _ = push(source, MemoryStore().destination())
        resolving.join()
    assert error.limit == 1.0


def test_waits_before_retries_count():
    """Otherwise a registry could demand waits, and then not respond."""
    unavailable = OK.replace(b"200 OK", b"429 Too Many Requests")
    unavailable += b"Retry-After: 1\r\nContent-Length: 0\r\n\r\n"
    with (
        serving([unavailable], Late(0.8, OK)) as server,
        open_repository(server, "source") as source,
    ):
        _, passed = push(source, MemoryStore().destination())
    assert passed < 1.7
