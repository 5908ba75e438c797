"""The search for referrers ends, regardless of the registry's responses."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from bundler.copy.image import ImageRequest
from bundler.copy.resolving import referrers, resolve as resolving
from bundler.copy.resolving.resolve import resolve
from bundler.events import WarningIssued
from bundler.transports.docker.transport import TRANSPORT
from tests.fakes.registry import OCI_INDEX, OCI_MANIFEST, FakeRegistry
from tests.transports.docker import repositories


class AnswersEverything(FakeRegistry):
    """A registry that returns a different manifest for each of cosign's tags.

    With ``nested``, it also lists a referrer of each manifest.
    """

    nested = False

    def answer(self, request):
        _, _, end = request.path.partition("/v2/app/")
        kind, _, reference = end.partition("/")
        if kind == "manifests" and reference.endswith((".sig", ".att", ".sbom")):
            self.add_image("app", reference, annotations={"for": reference})
        if kind == "referrers" and self.nested:
            subject = {"mediaType": OCI_MANIFEST, "digest": reference, "size": 1}
            digest = self.add_image("app", None, subject=subject)
            size = len(self.repository("app").manifests[digest][1])
            entry = {"mediaType": OCI_MANIFEST, "digest": digest, "size": size}
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
            return 200, {"Content-Type": OCI_INDEX}, json.dumps(index).encode()
        return None


@pytest.fixture
def registry():
    with AnswersEverything() as running:
        running.add_image("app", "1")
        yield running


def find_referrers(registry):
    return resolve_image(registry).referrers


def resolve_image(registry, events=None):
    source = repositories.source(registry, "app:1")
    with closing(source):
        request = ImageRequest(TRANSPORT.parse(f"//{registry.host}/app:1"), referrers="all")
        return resolve(request, source, emit=[].append if events is None else events.append)


def test_signatures_of_signatures_are_not_requested(registry):
    referrers = find_referrers(registry)
    endings = sorted(referrer.tag.partition(".")[2] for referrer in referrers)
    assert endings == ["att", "sbom", "sig", "sig", "sig"]
    assert len(registry.find_requests("GET|HEAD", "/manifests/")) < 30


def test_endless_referrers_are_left_behind(registry, monkeypatch):
    monkeypatch.setattr(referrers, "MAX_REFERRERS", 50)
    registry.nested = True
    events = []
    image = resolve_image(registry, events)
    assert image.left_behind
    assert sum(isinstance(event, WarningIssued) for event in events) == 1
    assert len(registry.repository("app").manifests) < 120


def add_chain(registry, length):
    """Add an image, and referrers of which each refers to the one before."""
    digest = registry.add_image("app", "1")
    for number in range(length):
        subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": number}
        digest = registry.add_image("app", None, subject=subject)
    return digest


def test_referrers_of_referrers_are_found_to_a_depth():
    with FakeRegistry() as registry:
        last = add_chain(registry, referrers.MAX_REFERRER_DEPTH)
        image = resolve_image(registry)
        assert len(image.referrers) == referrers.MAX_REFERRER_DEPTH
        assert image.left_behind == ()
        subject = {"mediaType": OCI_MANIFEST, "digest": last, "size": 1}
        deeper = registry.add_image("app", None, subject=subject)
        image = resolve_image(registry)
        assert len(image.referrers) == referrers.MAX_REFERRER_DEPTH
        assert image.left_behind == (deeper,)


def test_number_of_referrers_is_limited(monkeypatch):
    monkeypatch.setattr(referrers, "MAX_REFERRERS", 3)
    with FakeRegistry() as registry:
        digest = registry.add_image("app", "1")
        for size in range(1, 10):
            subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": size}
            registry.add_image("app", None, subject=subject)
        image = resolve_image(registry)
    assert len(image.referrers) == 3
    assert len(image.left_behind) == 3  # the search ends there


def test_size_of_referrers_is_limited(monkeypatch):
    monkeypatch.setattr(resolving, "MAX_MANIFEST_BYTES", 2_000)
    with FakeRegistry() as registry:
        digest = registry.add_image("app", "1")
        for size in range(1, 10):
            subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": size}
            registry.add_image("app", None, subject=subject, annotations={"a": "x" * 400})
        image = resolve_image(registry)
        assert 0 < len(image.referrers) < 5
        assert len(image.referrers) + len(image.left_behind) == 9
        assert len(registry.find_requests("GET", "/manifests/sha256:")) < 6


@pytest.mark.parametrize("depth", [1, 2])
def test_cycle_of_referrers_ends(depth):
    """A registry claims that an image, and a referrer of it, refer to each other."""

    class Claims(FakeRegistry):
        def answer(self, request):
            if "/referrers/" not in request.path:
                return None
            manifests = self.repository("app").manifests
            entries = [
                {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(content[1])}
                for digest, content in manifests.items()
            ]
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
            return 200, {"Content-Type": OCI_INDEX}, json.dumps(index).encode()

    with Claims() as registry:
        add_chain(registry, depth)
        image = resolve_image(registry)
        assert len(image.referrers) == 1  # only this one states the image as its subject
        assert len(registry.find_requests("GET", "/referrers/")) == 2


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"Content-Type": OCI_INDEX}, b"[]"),
        (200, {"Content-Type": OCI_INDEX}, b'{"schemaVersion":2,"manifests":[{}]}'),
    ],
    ids=range(2),
)
def test_unreadable_list_is_left_behind_and_tags_are_found(answer):
    class Malformed(FakeRegistry):
        def answer(self, request):
            return answer if "/referrers/" in request.path else None

    with Malformed() as registry:
        digest = registry.add_image("app", "1")
        tag = digest.replace(":", "-")
        registry.add_image("app", f"{tag}.sig", annotations={"a": "b"})
        image = resolve_image(registry)
    assert [item.tag for item in image.referrers] == [f"{tag}.sig"]
    assert tag in image.left_behind
