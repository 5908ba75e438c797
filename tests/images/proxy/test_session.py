"""The image proxy with clients that disconnect, exceed limits or send invalid requests."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler import transports
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.errors import BundlerError, CancelledError
from bundler.images.proxy import protocol
from bundler.images.proxy.pipes import MAX_PIPES
from bundler.images.proxy.session import MAX_IMAGES, PROTOCOL, ProxyContext, serve
from bundler.oci.platform import Platform
from bundler.ports import OpenOptions
from tests.fakes import images
from tests.fakes.policies import AcceptsDigests
from tests.interop.proxy_client import Proxy, create_socket_pair, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.ports import Reference, Source
    from bundler.signature_ports import PolicyCheck

LAYER = images.layer({"data": os.urandom(3_000_000)})
APP = images.image(LAYER)
MULTI = images.multi_platform("multi", "linux/arm64", "linux/amd64")
SIZE = len(LAYER.blob.data)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return images.write_layout(tmp_path / "images", {"app": APP, "multi": MULTI})


@pytest.fixture
def running(layout: Path) -> Iterator[Proxy]:
    with _serving(_access) as proxy:
        proxy.value("Initialize")
        proxy.value("OpenImage", f"oci:{layout}:app")
        yield proxy


def test_closed_pipe_is_reported_as_epipe(running: Proxy) -> None:
    reply = running.call("GetBlob", 1, LAYER.blob.digest, SIZE)
    os.close(reply.descriptors[0])

    finished = running.call("FinishPipe", reply.pipe)

    assert (finished.success, finished.error_code) == (False, "EPIPE")


def test_failure_of_a_raw_blob_is_written_to_the_second_pipe(running: Proxy) -> None:
    reply = running.call("GetRawBlob", 1, LAYER.blob.digest)
    data, failure = reply.descriptors
    os.close(data)

    assert json.loads(read_all(failure))["code"] == "EPIPE"


def test_pipe_can_be_finished_once(running: Proxy) -> None:
    _, _, first = running.fetch("GetManifest", 1)
    second = running.call("FinishPipe", 1)

    assert (first.success, second.success) == (True, False)


def test_number_of_pipes_is_limited(running: Proxy) -> None:
    replies = [running.call("GetManifest", 1) for _ in range(MAX_PIPES)]
    refused = running.call("GetManifest", 1)
    for reply in replies:
        os.close(reply.descriptors[0])
        running.call("FinishPipe", reply.pipe)

    assert all(reply.success for reply in replies)
    assert not refused.success
    assert str(MAX_PIPES) in refused.error
    assert running.fetch("GetManifest", 1)[2].success


def test_number_of_images_is_limited(running: Proxy, layout: Path) -> None:
    opened = [running.value("OpenImage", f"oci:{layout}:app") for _ in range(MAX_IMAGES - 1)]
    refused = running.call("OpenImage", f"oci:{layout}:app")
    running.value("CloseImage", opened[0])

    assert not refused.success
    assert running.value("OpenImage", f"oci:{layout}:app") > opened[-1]


@pytest.mark.parametrize("method", ["GetBlob", "GetRawBlob"])
def test_client_can_disconnect_without_reading_its_pipes(layout: Path, method: str) -> None:
    with _serving(_access) as proxy:
        proxy.value("Initialize")
        image = proxy.value("OpenImage", f"oci:{layout}:app")
        arguments = (image, LAYER.blob.digest, *([SIZE] if method == "GetBlob" else []))
        reply = proxy.call(method, *arguments)
        proxy.channel.close()
    for descriptor in reply.descriptors:
        os.close(descriptor)


def test_client_can_disconnect_while_a_pipe_is_finished(layout: Path) -> None:
    with _serving(_access) as proxy:
        proxy.value("Initialize")
        image = proxy.value("OpenImage", f"oci:{layout}:app")
        reply = proxy.call("GetBlob", image, LAYER.blob.digest, SIZE)
        proxy.send(json.dumps({"method": "FinishPipe", "args": [reply.pipe]}).encode())
        proxy.channel.close()
    os.close(reply.descriptors[0])


def test_reply_that_is_too_large_for_a_packet_is_refused(tmp_path: Path) -> None:
    many = images.image(*[images.layer({str(number): b""}) for number in range(1500)])
    layout = images.write_layout(tmp_path / "many", {"many": many})

    with _serving(_access) as proxy:
        proxy.value("Initialize")
        image = proxy.value("OpenImage", f"oci:{layout}:many")
        reply = proxy.call("GetLayerInfo", image)
        _, piped, _ = proxy.fetch("GetLayerInfoPiped", image)

    assert not reply.success
    assert "too large for a packet" in reply.error
    assert len(json.loads(piped)) == 1500


def test_request_that_is_too_large_is_refused(running: Proxy) -> None:
    running.send(b"[" * 40_000)
    reply = running.receive()

    assert reply is not None
    assert not reply.success
    assert "32,768" in reply.error


def test_file_descriptors_from_the_client_are_closed(running: Proxy) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    packet = b'{"method": "CloseImage", "args": [7]}'
    with open(os.devnull, "rb") as file:  # noqa: PTH123 - a descriptor is wanted
        socket.send_fds(running.channel, [packet], [file.fileno()] * 5)
    running.receive()

    assert len(list(Path("/proc/self/fd").iterdir())) == before


@given(st.binary(min_size=1, max_size=200) | st.text(max_size=99).map(str.encode))
def test_any_packet_is_parsed_or_refused(packet: bytes) -> None:
    try:
        request = protocol.parse_request(packet)
    except BundlerError:
        return
    assert isinstance(request.method, str)


@given(
    st.sampled_from(["OpenImage", "GetBlob", "GetManifest", "FinishPipe", "GetRawBlob", "Shut"]),
    st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=4),
)
def test_any_arguments_get_a_reply(method: str, arguments: list[object]) -> None:
    with _serving(_access) as proxy:
        proxy.value("Initialize")

        assert not proxy.call(method, *arguments).success


def test_failed_initialize_is_reported_and_can_be_repeated() -> None:
    attempts: list[int] = []

    def begin() -> ProxyContext:
        attempts.append(1)
        if len(attempts) == 1:
            raise BundlerError("a file\nis broken")
        return _access()

    with _serving(begin) as proxy:
        first = proxy.call("Initialize")

        assert (first.success, first.error) == (False, "a file is broken")
        assert proxy.value("Initialize") == PROTOCOL


@pytest.mark.parametrize(
    ("accepted", "works"),
    [({MULTI.digest}, True), ({MULTI.children[1].digest}, True), (set(), False)],
)
def test_policy_must_accept_the_index_or_the_image(
    layout: Path, accepted: set[str], works: bool
) -> None:
    with _serving(lambda: _access(AcceptsDigests(accepted))) as proxy:
        proxy.value("Initialize")

        assert proxy.call("OpenImage", f"oci:{layout}:multi").success is works
        assert not proxy.call("OpenImage", f"oci:{layout}:app").success


def test_artifact_has_no_config(tmp_path: Path) -> None:
    artifact = images.artifact("application/x", b"data")
    layout = images.write_layout(tmp_path / "artifacts", {"a": artifact})

    with _serving(_access) as proxy:
        proxy.value("Initialize")
        image = proxy.value("OpenImage", f"oci:{layout}:a")

        assert proxy.fetch("GetManifest", image)[1] == artifact.root.data
        assert not proxy.call("GetFullConfig", image).success


def test_cancellation_ends_the_server() -> None:
    cancellation = Cancellation()
    ours, theirs = create_socket_pair()
    with ours, theirs:
        threading.Timer(0.1, cancellation.request).start()
        with pytest.raises(CancelledError):
            serve(theirs, _access, cancellation)


@contextmanager
def _serving(begin: Callable[[], ProxyContext]) -> Iterator[Proxy]:
    """Run a proxy in a thread; at the end of the block the client disconnects."""
    ours, theirs = create_socket_pair()
    thread = threading.Thread(target=serve, args=(theirs, begin, Cancellation()))
    thread.start()
    with theirs:
        with ours:
            yield Proxy(ours)
        thread.join(10)
        assert not thread.is_alive()


def _access(policy_check: PolicyCheck | None = None) -> ProxyContext:
    def opened(text: str) -> tuple[Reference, Source]:
        reference = transports.parse(text)
        return reference, transports.open_source(reference, OpenOptions(Settings))

    return ProxyContext(opened, Platform("linux", "amd64"), policy_check)
