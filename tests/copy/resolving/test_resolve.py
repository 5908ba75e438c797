"""Resolution of names to graphs: pins, platforms, referrers, hostile graphs."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from bundler.copy.image import ImageRequest, PinnedReferrer
from bundler.copy.resolving import resolve as resolving
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    ConflictError,
    DigestMismatchError,
    IntegrityError,
    LimitError,
    MalformedError,
    NotFoundError,
    RegistryError,
    RejectedByPolicyError,
    SizeMismatchError,
    SparseIndexError,
)
from bundler.events import WarningIssued, discard
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.transports.memory.transport import MemoryReference
from tests.fakes import images
from tests.fakes.memory import MemoryStore
from tests.fakes.policies import AcceptsDigests, RejectsReferences

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


@pytest.fixture
def store():
    return MemoryStore()


def resolve_app(store, policy_check=None, *, source=None, emit=discard, **request):
    """Resolve the image ``app`` of ``store``."""
    request = ImageRequest(MemoryReference("app"), **request)
    return resolve(request, source or store.source(), policy_check, emit)


def put(store, body, *, name="app", media_type=None):
    """Store a manifest with any content, valid or not."""
    raw = images.dump(body)
    root = Descriptor(media_type or body["mediaType"], store.add_blob(raw), len(raw))
    store.names[name] = root
    return root


def index_of(*entries):
    return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": list(entries)}


def nested(store, levels, **entry):
    """Store an image below ``levels`` nested indexes."""
    root = store.add_image(layers=[b"x"])
    for _ in range(levels):
        root = replace(root, platform=entry.get("platform"))
        root = store.add_index("app", manifests=[root])
    return root


def test_pin_must_match_the_digest(store):
    root = store.add_image("app")
    assert resolve_app(store, expected_root=root.digest).graph.root.digest == root.digest
    other = Digest.of(b"other")
    with pytest.raises(ConflictError, match=f"expected {other}, got {root.digest}"):
        resolve_app(store, expected_root=other)


@pytest.mark.parametrize("tag", ["moved", "deleted"])
def test_pinned_digest_is_copied_if_moved_tag_is_allowed(store, tag):
    pinned = store.add_image("app", layers=[b"pinned"])
    store.names[str(pinned.digest)] = store.names.pop("app")  # as in a registry
    if tag == "moved":
        store.add_image("app", layers=[b"newer"])
    emitted = []
    request = {"expected_root": pinned.digest, "emit": emitted.append}
    found = resolve_app(store, on_tag_moved="warn", **request)
    assert found.graph.root.digest == pinned.digest
    (warning,) = emitted
    assert isinstance(warning, WarningIssued)
    assert str(pinned.digest) in warning.text
    with pytest.raises(ConflictError if tag == "moved" else NotFoundError):
        resolve_app(store, **request)


def test_pin_refers_to_the_index_before_platforms_are_selected(store):
    image = store.add_image(platform=AMD64)
    index = store.add_index("app", manifests=[image])
    found = resolve_app(store, expected_root=index.digest, selection=PlatformSelection((AMD64,)))
    assert (found.graph.root.digest, found.replaces) == (image.digest, index.digest)


def test_image_with_sha512_is_resolved(store):
    root = store.add_image(layers=[b"x"], algorithm="sha512")
    store.add_index("app", manifests=[root], algorithm="sha512")
    graph = resolve_app(store).graph
    found = [item.descriptor.digest for item in graph.manifests] + [b.digest for b in graph.blobs]
    assert len(found) == 4
    assert {digest.algorithm for digest in found} == {"sha512"}


def test_children_are_listed_before_parents_each_once(store):
    image = store.add_image(layers=[b"x"])
    inner = store.add_index(manifests=[image])
    outer = store.add_index("app", manifests=[image, inner, image])
    graph = resolve_app(store).graph
    assert [(m.descriptor.digest, m.depth) for m in graph.manifests] == [
        (image.digest, 0), (inner.digest, 1), (outer.digest, 2)
    ]  # fmt: skip


def test_layer_that_is_listed_twice_is_one_blob(store):
    store.add_image("app", layers=[b"same", b"same", b""], compress=False)
    assert len(resolve_app(store).graph.blobs) == 3


def test_strip_keeps_attestations_of_selected_images(store):
    amd, arm = (store.add_image(layers=[str(p).encode()], platform=p) for p in (AMD64, ARM64))
    third = store.add_image(layers=[b"z"], platform=Platform("linux", "s390x"))
    attestations = [
        replace(
            store.add_artifact(blobs=[image.digest.text.encode()]),
            platform=Platform("unknown", "unknown"),
            annotations={
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": image.digest.text,
            },
        )
        for image in (amd, arm, third)
    ]
    store.add_index("app", manifests=[amd, arm, third, *attestations])
    graph = resolve_app(store, selection=PlatformSelection((AMD64, ARM64))).graph
    kept = {item.descriptor.digest for item in graph.manifests} - {graph.root.digest}
    assert kept == {amd.digest, arm.digest, attestations[0].digest, attestations[1].digest}
    assert graph.platforms == (AMD64, ARM64)
    single = resolve_app(store, selection=PlatformSelection((AMD64,))).graph
    assert [item.descriptor.digest for item in single.manifests] == [amd.digest]


def test_sparse_keeps_the_index_of_a_single_platform(store):
    amd = store.add_image(layers=[b"amd"], platform=AMD64)
    arm = store.add_image(layers=[b"arm"], platform=ARM64)
    index = store.add_index("app", manifests=[amd, arm])
    found = resolve_app(store, selection=PlatformSelection((AMD64,), "sparse"))
    assert (found.graph.root.digest, found.replaces) == (index.digest, None)
    assert [item.descriptor.digest for item in found.graph.manifests] == [amd.digest, index.digest]


def test_sparse_keeps_the_index_and_omits_children(store):
    platforms = (AMD64, ARM64, Platform("linux", "s390x"))
    entries = [store.add_image(layers=[str(p).encode()], platform=p) for p in platforms]
    index = store.add_index("app", manifests=entries)
    found = resolve_app(store, selection=PlatformSelection((AMD64, ARM64), "sparse"))
    assert found.graph.root.digest == index.digest
    assert found.replaces is None
    assert entries[2].digest not in {item.descriptor.digest for item in found.graph.manifests}


@pytest.mark.parametrize("selection", [PlatformSelection(), PlatformSelection((ARM64,))])
def test_missing_manifest_of_a_sparse_index_is_described(store, selection):
    amd = store.add_image(layers=[b"amd"], platform=AMD64)
    arm = store.add_image(layers=[b"arm"], platform=ARM64)
    store.add_index("app", manifests=[amd, arm])
    del store.blobs[arm.digest]
    with pytest.raises(SparseIndexError) as raised:
        resolve_app(store, selection=selection)
    assert (raised.value.manifest, raised.value.platform) == (arm.digest.text, "linux/arm64")
    assert raised.value.present == ("linux/amd64",)


def test_image_without_a_platform_in_its_config_has_none(store):
    config = {"mediaType": media_types.OCI_CONFIG, "digest": store.add_blob(b"{}").text, "size": 2}
    put(store, {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config,
                "layers": []})  # fmt: skip
    assert resolve_app(store).graph.root.platform is None


def test_referrers_of_referrers_are_found_with_their_subjects(store):
    root = store.add_image("app")
    sbom = store.add_artifact(subject=root)
    signature = store.add_artifact(subject=sbom, blobs=[b"signature"])
    found = resolve_app(store, referrers="all").referrers
    assert [(item.graph.root.digest, item.subject) for item in found] == [
        (sbom.digest, root.digest), (signature.digest, sbom.digest)
    ]  # fmt: skip


def test_listed_referrer_without_that_subject_is_ignored(store):
    store.add_image("app")
    stranger = store.add_image(layers=[b"unasked for"])
    source = store.source()
    source.referrers = lambda _: [stranger]
    assert resolve_app(store, source=source, referrers="all").referrers == ()


@pytest.mark.parametrize(
    "unreadable",
    [
        Descriptor(media_types.OCI_MANIFEST, Digest.of(b"gone"), 4),
        Descriptor(media_types.OCI_MANIFEST, Digest.of(b"not JSON"), 8),
        Descriptor("application/vnd.oci.artifact.manifest.v1+json", Digest.of(b'{"blobs":[]}'), 12),
    ],
    ids=["missing", "malformed", "unsupported"],
)
def test_referrer_that_cannot_be_read_is_left_behind_with_a_warning(store, unreadable):
    root = store.add_image("app")
    sbom = store.add_artifact(subject=root)
    store.add_blob(b"not JSON")
    store.add_blob(b'{"blobs":[]}')
    source = store.source()
    source.referrers = lambda subject: [unreadable, sbom] if subject == root.digest else []
    events = []
    image = resolve_app(store, source=source, referrers="all", emit=events.append)
    assert [item.graph.root.digest for item in image.referrers] == [sbom.digest]
    assert image.left_behind == (unreadable.digest.text,)
    assert [type(event) for event in events] == [WarningIssued]
    assert unreadable.digest.text in events[0].text


def test_image_has_the_media_type_that_its_manifest_states(store):
    """Registries and indexes state the type of another format for some images."""
    image = store.add_image()
    listed = replace(image, media_type=media_types.DOCKER_MANIFEST)
    root = store.add_index("app", manifests=[listed])
    graph = resolve_app(store).graph
    types = {item.descriptor.digest: item.descriptor.media_type for item in graph.manifests}
    assert types == {image.digest: media_types.OCI_MANIFEST, root.digest: media_types.OCI_INDEX}
    store.names["single"] = listed
    request = ImageRequest(MemoryReference("single"))
    assert resolve(request, store.source()).graph.root.media_type == media_types.OCI_MANIFEST


def test_failure_to_list_referrers_has_a_note(store):
    """The image may come from a mirror, and the referrers from the registry."""
    store.add_image("app")
    source = store.source()

    def unreachable(_):
        raise RegistryError("https://office.example: the host name cannot be resolved")

    source.referrers = unreachable
    with pytest.raises(RegistryError) as caught:
        resolve_app(
            store,
            source=source,
            reference=ImageReference.parse("office.example/app:1"),
            referrers="all",
        )
    (note,) = caught.value.__notes__
    assert "the referrers of office.example/app:1" in note
    assert "`referrers: none`" in note


def test_pinned_referrers_are_copied_exactly(store):
    root = store.add_image("app")
    referrer = store.add_artifact(subject=root)
    store.add_artifact(subject=root, blobs=[b"newer"])
    known = (PinnedReferrer(referrer.digest),)
    found = resolve_app(store, referrers=known).referrers
    assert [item.graph.root.digest for item in found] == [referrer.digest]
    assert resolve_app(store, referrers=()).referrers == ()


def test_missing_pinned_referrer_is_an_error(store):
    store.add_image("app")
    with pytest.raises(NotFoundError):
        resolve_app(store, referrers=(PinnedReferrer(Digest.of(b"gone")),))


def test_pinned_referrer_must_match_its_digest(store):
    """A source may resolve a digest to something else: a layout can contain any name."""
    root = store.add_image("app")
    referrer = store.add_artifact(subject=root)
    store.names[referrer.digest.text] = store.add_image(layers=[b"another"])
    with pytest.raises(DigestMismatchError) as caught:
        resolve_app(store, referrers=(PinnedReferrer(referrer.digest),))
    assert caught.value.expected == referrer.digest.text


def test_policy_checks_images_and_not_their_index_or_referrers(store):
    images_of_index = [store.add_image(platform=platform) for platform in (AMD64, ARM64)]
    store.add_index("app", manifests=images_of_index)
    store.add_artifact(subject=images_of_index[0])
    policy = AcceptsDigests()
    resolve_app(store, policy, referrers="all")
    assert policy.references == ["memory:app"]
    assert policy.checked == [image.digest for image in images_of_index]
    for selection, expected in (
        (PlatformSelection((ARM64,)), [images_of_index[1].digest]),
        (PlatformSelection((ARM64,), "sparse"), [images_of_index[1].digest]),
    ):
        policy = AcceptsDigests()
        resolve_app(store, policy, selection=selection)
        assert policy.checked == expected


def test_policy_checks_index_that_is_copied_alone_or_is_empty(store):
    image = store.add_image(platform=AMD64)
    index = store.add_index("app", manifests=[image])
    policy = AcceptsDigests()
    resolve_app(store, policy, selection=PlatformSelection(index="sparse", index_only=True))
    assert policy.checked == [index.digest]
    empty = store.add_index("app", manifests=[])
    policy = AcceptsDigests()
    resolve_app(store, policy)
    assert policy.checked == [empty.digest]


def test_policy_checks_index_with_content_that_is_no_manifest(store):
    image = store.add_image(platform=AMD64)
    blob = Descriptor("application/x", store.add_blob(b"x"), 1)
    index = store.add_index("app", manifests=[image, blob])
    policy = AcceptsDigests()
    resolve_app(store, policy)
    assert policy.checked == [index.digest, image.digest]


def test_image_that_is_declared_as_index_is_checked(store):
    """The descriptor comes from the source."""
    image = store.add_image()
    store.names["app"] = replace(image, media_type=media_types.OCI_INDEX)
    policy = AcceptsDigests(())
    with pytest.raises((RejectedByPolicyError, MalformedError)):
        resolve_app(store, policy)


def test_rejected_manifest_is_not_parsed(store):
    raw = b"not json at all"
    store.names["app"] = Descriptor(media_types.OCI_MANIFEST, store.add_blob(raw), len(raw))
    with pytest.raises(RejectedByPolicyError):
        resolve_app(store, AcceptsDigests(()))
    store.names["app"] = replace(store.names["app"], media_type=media_types.OCI_INDEX)
    with pytest.raises(RejectedByPolicyError):
        resolve_app(store, RejectsReferences())


def test_rejection_reports_the_position_in_the_index(store):
    first, second = (store.add_image(platform=platform) for platform in (AMD64, ARM64))
    store.add_index("app", manifests=[first, second])
    policy = AcceptsDigests([first.digest.text])
    with pytest.raises(RejectedByPolicyError) as caught:
        resolve_app(store, policy)
    assert (caught.value.position, caught.value.selected) == ((2, 2), False)
    single = PlatformSelection(best=ARM64)
    with pytest.raises(RejectedByPolicyError) as caught:
        resolve_app(store, policy, selection=single)
    assert (caught.value.position, caught.value.selected) == (None, True)


def test_policy_applies_to_the_given_reference(store):
    store.add_image("app")
    policy = AcceptsDigests()
    resolve_app(store, policy, policy_reference="docker://example.com/app:1")
    assert policy.references == ["docker://example.com/app:1"]


@pytest.mark.parametrize("platform", [None, AMD64])
def test_depth_is_limited(store, platform):
    nested(store, 8, platform=platform)
    selection = PlatformSelection((platform,) if platform else ())
    resolve_app(store, selection=selection)
    nested(store, 9, platform=platform)
    with pytest.raises(LimitError):
        resolve_app(store, selection=selection)


def test_number_of_children_is_limited(store):
    template = store.add_image(layers=[b"x"])
    body = store.blobs[template.digest]
    entries = []
    for number in range(10_000):
        raw = body[:-1] + b',"annotations":{"n":"%d"}}' % number
        entries.append(Descriptor(template.media_type, store.add_blob(raw), len(raw)))
    store.add_index("app", manifests=entries)
    begun = time.process_time()
    assert len(resolve_app(store).graph.manifests) == 10_001
    assert time.process_time() - begun < 20
    store.add_index("app", manifests=[*entries, entries[0]])
    with pytest.raises(LimitError):
        resolve_app(store)


def test_number_and_size_of_manifests_are_limited(store, monkeypatch):
    store.add_index("app", manifests=[store.add_image(layers=[bytes([n])]) for n in range(5)])
    monkeypatch.setattr(resolving, "MAX_MANIFESTS", 5)
    with pytest.raises(LimitError):
        resolve_app(store)
    monkeypatch.setattr(resolving, "MAX_MANIFESTS", 6)
    resolve_app(store)
    monkeypatch.setattr(resolving, "MAX_MANIFEST_BYTES", 1_000)
    with pytest.raises(LimitError):
        resolve_app(store)


def test_manifest_with_a_too_large_size_is_not_opened(store):
    root = store.add_image("app")
    store.names["app"] = replace(root, size=5 * 2**30)
    with pytest.raises(LimitError):
        resolve_app(store)
    assert not [line for line in store.log if line.startswith("open")]


def test_config_with_a_too_large_size_is_not_opened(store):
    digest = store.add_blob(b"{}")
    config = {"mediaType": media_types.OCI_CONFIG, "digest": digest.text, "size": 5 * 2**30}
    put(store, {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": config,
                "layers": []})  # fmt: skip
    with pytest.raises(LimitError):
        resolve_app(store)
    assert f"open {digest}@0" not in store.log


@pytest.mark.parametrize("difference", [-1, 1])
def test_manifest_of_another_size_is_refused(store, difference):
    root = store.add_image("app")
    store.names["app"] = replace(root, size=root.size + difference)
    with pytest.raises(SizeMismatchError):
        resolve_app(store)


def test_manifest_of_another_digest_is_refused(store):
    root = store.add_image("app")
    store.blobs[root.digest] = store.blobs[root.digest].replace(b"2", b"3", 1)
    with pytest.raises(DigestMismatchError):
        resolve_app(store)


@pytest.mark.parametrize(
    "second",
    [{"mediaType": media_types.DOCKER_MANIFEST}, {"mediaType": media_types.OCI_INDEX}, {"size": 5}],
)
def test_two_media_types_of_one_digest_are_refused(store, second):
    entry = {"mediaType": media_types.OCI_MANIFEST}
    child = put(store, {"schemaVersion": 2, "config": images.image().blobs[0].descriptor(),
                        "layers": []}, media_type=entry["mediaType"])  # fmt: skip
    entry |= {"digest": child.digest.text, "size": child.size}
    put(store, index_of(entry, entry | second))
    with pytest.raises(IntegrityError):
        resolve_app(store)


def test_index_with_the_media_type_of_an_image_is_refused(store):
    root = store.add_index("app", manifests=[store.add_image()])
    resolve_app(store)
    store.names["app"] = replace(root, media_type=media_types.OCI_MANIFEST)
    with pytest.raises(MalformedError):
        resolve_app(store)


def test_two_sizes_of_one_blob_are_refused(store):
    layer = {"mediaType": media_types.OCI_LAYER, "digest": store.add_blob(b"x").text, "size": 1}
    config = store.blobs[store.add_image(layers=[b"y"]).digest]
    body = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST,
            "config": json.loads(config)["config"],
            "layers": [layer, layer]}  # fmt: skip
    put(store, body)
    resolve_app(store)
    put(store, body | {"layers": [layer, layer | {"size": 2}]})
    with pytest.raises(MalformedError):
        resolve_app(store)


def test_manifest_that_lists_itself_is_refused(store):
    """A manifest cannot contain its own digest; a wrong one is detected."""
    digest = Digest.of(b"guess")
    entry = {"mediaType": media_types.OCI_INDEX, "digest": digest.text}
    size = len(images.dump(index_of(entry | {"size": 100})))
    raw = images.dump(index_of(entry | {"size": size}))
    store.blobs[digest] = raw
    store.names["app"] = Descriptor(media_types.OCI_INDEX, digest, len(raw))
    with pytest.raises(DigestMismatchError):
        resolve_app(store)
