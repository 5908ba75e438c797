"""The search for referrers ends, regardless of the registry's responses."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from bundler.copy import referrers
from bundler.copy.image import ImageRequest
from bundler.copy.resolve import resolve
from bundler.errors import LimitError
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
    source = repositories.source(registry, "app:1")
    with closing(source):
        request = ImageRequest(TRANSPORT.parse(f"//{registry.host}/app:1"), referrers="all")
        return resolve(request, source).referrers


def test_signatures_of_signatures_are_not_requested(registry):
    referrers = find_referrers(registry)
    endings = sorted(referrer.tag.partition(".")[2] for referrer in referrers)
    assert endings == ["att", "sbom", "sig", "sig", "sig"]
    assert len(registry.find_requests("GET|HEAD", "/manifests/")) < 30


def test_depth_of_referrers_is_limited(registry):
    registry.nested = True
    with pytest.raises(LimitError):
        find_referrers(registry)
    assert len(registry.repository("app").manifests) < 300


def test_referrers_of_referrers_are_found(monkeypatch):
    with FakeRegistry() as registry:
        digest = registry.add_image("app", "1")
        for number in range(referrers.MAX_REFERRER_DEPTH):
            subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": number}
            digest = registry.add_image("app", None, subject=subject)
        assert len(find_referrers(registry)) == referrers.MAX_REFERRER_DEPTH
        monkeypatch.setattr(referrers, "MAX_REFERRER_DEPTH", referrers.MAX_REFERRER_DEPTH - 1)
        with pytest.raises(LimitError):
            find_referrers(registry)
