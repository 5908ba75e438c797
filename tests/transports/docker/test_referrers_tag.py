"""Referrers are listed under the fallback tag in registries without a referrers API."""

from __future__ import annotations

import json

import pytest

from bundler.oci.digest import Digest
from bundler.ports import Publication
from tests.fakes import images
from tests.fakes.registry import FakeRegistry
from tests.transports.docker.repositories import destination, push, root_of, source


class TestReferrers:
    @pytest.fixture(params=[True, False], ids=["api", "fallback tag"])
    def registry(self, request):
        with FakeRegistry(referrers=request.param) as running:
            yield running

    def test_referrer_is_listed_under_the_fallback_tag(self, registry):
        image = images.image()
        notes = [
            images.artifact("application/x.note", text, subject=image, annotations={"n": "1"})
            for text in (b"one", b"two")
        ]
        target = destination(registry, "a/app")
        for item in (image, *notes):
            push(target, item)
        target.commit([Publication(root_of(item), ()) for item in (image, *notes)])
        target.close()

        origin = source(registry, "a/app")
        found = origin.referrers(Digest(image.digest))
        assert {item.digest.text for item in found} == {item.digest for item in notes}
        assert {item.artifact_type for item in found} == {"application/x.note"}
        origin.close()
        repository = registry.repositories["a/app"]
        if registry.referrers:
            assert not repository.tags
            return
        (tag, digest), *others = repository.tags.items()
        assert (tag, others) == (f"sha256-{image.digest[7:]}", [])
        index = json.loads(repository.manifests[digest][1])
        assert [entry["annotations"] for entry in index["manifests"]] == [{"n": "1"}] * 2

    def test_referrer_is_listed_once(self, registry):
        image = images.image()
        note = images.artifact("application/x.note", b"one", subject=image)
        for _ in range(3):
            target = destination(registry, "a/app")
            push(target, image)
            push(target, note)
            target.commit([Publication(root_of(note), ())])
            target.close()
        origin = source(registry, "a/app")
        assert len(origin.referrers(Digest(image.digest))) == 1
        origin.close()

    def test_rerun_lists_a_referrer_of_an_interrupted_run(self, registry):
        image = images.image()
        note = images.artifact("application/x.note", b"one", subject=image)
        for item in (image, note):
            for blob in item.all_blobs():
                registry.add_blob("a/app", blob.data)
            registry.add_manifest("a/app", None, item.root.data, item.root.media_type)
        target = destination(registry, "a/app")
        target.commit([Publication(root_of(note), ())])
        target.close()
        origin = source(registry, "a/app")
        assert len(origin.referrers(Digest(image.digest))) == 1
        origin.close()
