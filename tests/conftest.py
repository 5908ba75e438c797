"""The environment of every test: no user configuration, no network except loopback."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import sys
import tempfile
from typing import TYPE_CHECKING, Protocol, TypeVar

import hypothesis
import pytest

from tests.fakes.openpgp import GnuPG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytest_plugins = ["tests.failures", "tests.kernel"]

_FOREIGN = (
    "REGISTRY_AUTH_FILE",
    "DOCKER_CONFIG",
    "CONTAINERS_REGISTRIES_CONF",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "NO_COLOR",
    "SOURCE_DATE_EPOCH",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run only the tests that are marked as thorough, and those that sample their cases,"
        " with all cases",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    thorough = config.getoption("thorough")
    kept, left = [], []
    for item in items:
        marked = item.get_closest_marker("thorough") is not None
        samples = "sample" in getattr(item, "fixturenames", ()) or bool(
            item.get_closest_marker("hypothesis")
        )
        (kept if (marked or samples if thorough else not marked) else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


Case = TypeVar("Case")


class Sample(Protocol):
    """Return every ``step``-th of the cases; with ``--thorough``, all of them."""

    def __call__(self, cases: Sequence[Case], step: int) -> Sequence[Case]: ...


@pytest.fixture
def sample(request: pytest.FixtureRequest) -> Sample:
    """A function that selects cases of a test that would take long with all of them."""
    thorough = request.config.getoption("thorough")
    return lambda cases, step: cases if thorough else cases[::step]


def pytest_collection_finish() -> None:
    # Each run of the garbage collector would visit all tests and their modules again.
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts a background job with this signal ignored, and what tests start inherits it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in _FOREIGN:
        os.environ.pop(name, None)  # noqa: TID251 - what tests start must not see it either
        os.environ.pop(name.lower(), None)  # noqa: TID251
    # The default, below /run, holds this machine's credentials, or may not be read.
    runtime = tempfile.TemporaryDirectory(prefix="runtime-")
    os.environ["XDG_RUNTIME_DIR"] = runtime.name  # noqa: TID251
    config.add_cleanup(runtime.cleanup)
    sys.addaudithook(_loopback_only)
    examples = 1000 if config.getoption("thorough") else 40
    hypothesis.settings.register_profile("tests", max_examples=examples, deadline=None)
    hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="module")
def gnupg() -> Iterator[GnuPG]:
    """A home directory of gpg, which is empty at the beginning of each file of tests."""
    home = GnuPG()
    yield home
    home.close()


def _loopback_only(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not _is_loopback(str(address[0])):
        raise AssertionError(f"a test may only connect to loopback, not to {address[0]}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
