"""Mirrors are queried before the registry; tag lists and pushes use the registry."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace

import pytest

from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import Credentials, RegistryOverride
from bundler.config.settings import Settings
from bundler.errors import ConfigError, NotFoundError
from bundler.ports import OpenOptions
from bundler.transports.docker import mirrors
from bundler.transports.docker.transport import TRANSPORT
from tests.fakes import images
from tests.fakes.registry import FakeRegistry
from tests.transports.docker.repositories import layer, push, source


class TestMirrors:
    @pytest.fixture
    def mirror(self):
        with FakeRegistry() as running:
            yield running

    @pytest.fixture
    def configured(self, registry, mirror, tmp_path):
        """The registry under its own name, and its mirror, as registries.conf has them."""
        file = tmp_path / "registries.conf"
        file.write_text(
            f"""
            [[registry]]
            location = "{registry.host}"
            insecure = true
            [[registry.mirror]]
            location = "{mirror.host}/copies"
            insecure = true
            """
        )
        settings = Settings.load(
            {}, tmp_path, 1000, ConfigPathOverrides(registries_conf=file, run=tmp_path)
        )
        events = []
        return OpenOptions(lambda: settings, emit=events.append), events

    def open(self, registry, options, text="library/app:1"):
        return TRANSPORT.source(TRANSPORT.parse(f"//{registry.host}/{text}"), options)

    def test_signatures_are_those_of_the_name_in_the_mirror(
        self, registry, mirror, configured, tmp_path
    ):
        """The registry is contacted only for content that the mirror lacks."""
        options, _ = configured
        lookaside = tmp_path / ".local/share/containers/sigstore"
        for server, path, signature in (
            (mirror, "copies/library/app", b"\x90mirror"),
            (registry, "library/app", b"\x90registry"),
        ):
            digest = server.add_image(path, "1").replace(":", "=")
            file = lookaside / f"{path}@{digest}" / "signature-1"
            file.parent.mkdir(parents=True)
            file.write_bytes(signature)
        source = self.open(registry, options)
        assert source.signatures(source.resolve().digest) == [b"\x90mirror"]
        assert registry.requests == []
        mirror.repository("copies/library/app").tags.clear()
        source = self.open(registry, options)
        assert source.signatures(source.resolve().digest) == [b"\x90registry"]

    def test_mirror_is_queried_first(self, registry, mirror, configured):
        options, events = configured
        digest = mirror.add_image("copies/library/app", "1", [b"layer"])
        origin = self.open(registry, options)
        assert origin.served_by is None
        assert origin.resolve().digest.text == digest
        with origin.open(layer(b"layer")) as stream:
            assert stream.read(9) == b"layer"
        assert origin.served_by == f"{mirror.host}/copies/library/app"
        assert registry.requests == []
        assert [event.text for event in events] == [
            f"{registry.host}/library/app: read from mirror {mirror.host}/copies/library/app"
        ]
        assert (origin.mount_scope, origin.repository) == (registry.host, "library/app")
        origin.close()

    def test_rewritten_location_is_reported(self, registry, mirror, tmp_path):
        mirror.add_image("copies/library/app", "1")
        file = tmp_path / "registries.conf"
        location = f'location = "{mirror.host}/copies"\ninsecure = true\n'
        file.write_text(f'[[registry]]\nprefix = "{registry.host}"\n{location}')
        settings = Settings.load(
            {}, tmp_path, 1000, ConfigPathOverrides(registries_conf=file, run=tmp_path)
        )
        origin = self.open(registry, OpenOptions(lambda: settings))
        origin.resolve()
        assert origin.served_by == f"{mirror.host}/copies/library/app"
        origin.close()

    def test_registry_serves_content_that_the_mirror_lacks(self, registry, mirror, configured):
        options, _ = configured
        mirror.add_blob("copies/library/app", b"layer")
        digest = registry.add_image("library/app", "1", [b"layer", b"another"])
        origin = self.open(registry, options)
        assert origin.resolve().digest.text == digest
        assert origin.served_by is None
        for data in (b"layer", b"another"):
            with origin.open(layer(data)) as stream:
                assert stream.read(9) == data
        assert mirror.count("GET", "/blobs/") == 2
        assert registry.count("GET", "/blobs/") == 1
        origin.close()

    def test_failing_mirror_is_left_out(self, registry, mirror, configured):
        options, events = configured
        registry.add_image("library/app", "1", [b"layer"])
        mirror.fail(path="copies", status=403, times=None)
        origin = self.open(registry, options)
        origin.resolve()
        count = len(mirror.requests)
        with origin.open(layer(b"layer")):
            pass
        assert len(mirror.requests) == count
        assert "skipped" in events[0].text
        origin.close()

    def test_content_that_no_endpoint_has_is_reported(self, registry, mirror, configured):
        origin = self.open(registry, configured[0])
        with pytest.raises(NotFoundError):
            origin.resolve()
        origin.close()

    def test_tags_are_listed_by_the_registry(self, registry, mirror, configured):
        registry.add_image("library/app", "real")
        mirror.add_image("copies/library/app", "stale")
        origin = self.open(registry, configured[0])
        assert origin.tags() == ["real"]
        origin.close()

    def test_credentials_are_not_sent_to_mirrors(self, registry, mirror, configured):
        registry.auth = mirror.auth = "basic"
        registry.add_image("library/app", "1")
        user = RegistryOverride(credentials=Credentials("user", "password"), plain_http=True)
        options = replace(configured[0], overrides={registry.host: user})
        origin = self.open(registry, options)
        origin.resolve()
        assert mirror.requests
        assert all("authorization" not in request.headers for request in mirror.requests)
        origin.close()

    def test_push_goes_to_the_registry(self, registry, mirror, configured):
        target = TRANSPORT.destination(TRANSPORT.parse(f"//{registry.host}/app"), configured[0])
        push(target, images.image())
        target.close()
        assert mirror.requests == []


def test_repositories_of_a_registry_share_one_session(registry):
    """One token is requested, and the last user closes the session."""
    before = len(mirrors._sessions)
    registry.auth = "basic"
    user = RegistryOverride(credentials=Credentials("user", "password"), plain_http=True)
    shared = OpenOptions(Settings, overrides={registry.host: user})
    opened = [
        TRANSPORT.source(TRANSPORT.parse(f"//{registry.host}/{name}:1"), shared)
        for name in ("a/a", "b/b", "c/c")
    ]
    for name, origin in zip(("a/a", "b/b", "c/c"), opened, strict=True):
        registry.add_image(name, "1")
        origin.resolve()
        origin.close()
    assert sum("authorization" not in request.headers for request in registry.requests) == 1
    assert len(mirrors._sessions) == before


def test_blocked_registry_opens_no_session(registry, tmp_path):
    before = len(mirrors._sessions)
    file = tmp_path / "registries.conf"
    file.write_text(f'[[registry]]\nlocation = "{registry.host}"\nblocked = true\n')
    blocked = OpenOptions(
        lambda: Settings.load(
            {}, tmp_path, 1000, ConfigPathOverrides(registries_conf=file, run=tmp_path)
        )
    )
    reference = TRANSPORT.parse(f"//{registry.host}/app:1")
    for open_it in (TRANSPORT.source, TRANSPORT.destination):
        with pytest.raises(ConfigError):
            open_it(reference, blocked)
    assert len(mirrors._sessions) == before


class CollectingText(str):
    """A text that starts the garbage collector when it is hashed, as in the key of a session."""

    __slots__ = ()

    def __hash__(self) -> int:
        gc.collect()
        return super().__hash__()


def test_abandoned_source_may_be_collected_while_another_is_opened():
    with FakeRegistry() as registry:
        holder = [source(registry, "tests/abandoned")]
        holder.append(holder)
        del holder
        service = CollectingText("https://tokens.example")
        override = RegistryOverride(plain_http=True, token_service=service)
        opening = OpenOptions(Settings, overrides={registry.host: override})
        reference = TRANSPORT.parse(f"//{registry.host}/tests/app")
        thread = threading.Thread(
            target=lambda: TRANSPORT.source(reference, opening).close(), daemon=True
        )
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
