"""Plans: each blob once for each place, children before parents."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bundler.cancel import Cancellation
from bundler.copy.convert.options import ConversionOptions
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.plan import Target, create_plan
from bundler.copy.request import ImageRequest
from bundler.copy.resolve import resolve
from bundler.errors import CannotConvertError, MalformedError, MediumError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.reference import ImageReference
from bundler.ports import Capabilities
from bundler.transports.memory.transport import MemoryReference
from tests.copy.registry import OneWriter, Registry
from tests.fakes.memory import Fault, MemoryStore


@pytest.fixture
def executor():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def resolved(source, name):
    return resolve(ImageRequest(MemoryReference(name), referrers="all"), source)


def new_plan(targets, executor):
    return create_plan(targets, executor, Cancellation())


def wanted(store, destination, *names):
    return [Target(resolved(store.source(), name), destination, (name,)) for name in names]


def lines(store, verb):
    return [line for line in store.log if line.startswith(f"{verb} ")]


@pytest.mark.parametrize("mounts", [True, False, "broken"])
def test_blob_is_pushed_once_and_mounted_into_other_repositories(executor, mounts):
    """A registry that does not mount, or fails to, gets the blob by a push."""
    there, registry = MemoryStore(), Registry(mounts=mounts)
    for name in ("a", "b"):
        there.add_image(name, layers=[b"shared", name.encode()])
    one, two = registry.repository("one"), registry.repository("two")
    made = create_plan(
        [*wanted(there, one, "a"), *wanted(there, two, "b")], executor, Cancellation()
    )
    assert (made.count("push"), made.count("mount")) == (5, 1)
    execute(made, EngineOptions(executor))
    (mount,) = lines(two.store, "mount")
    assert mount.endswith(" from one")
    digest = mount.split()[1]
    assert (f"push {digest}" in two.store.log) is (mounts is not True)
    assert one.store.blobs | two.store.blobs == there.blobs
    for store, name in ((one.store, "a"), (two.store, "b")):
        assert all(
            node.digest in store.blobs for node in resolved(store.source(), name).graph.blobs
        )


def test_present_blob_is_read_once_for_all_repositories(executor):
    """An import hashes each blob of its medium once; one that is damaged fails every image."""
    there, registry = MemoryStore(), Registry()
    for name in ("a", "b"):
        there.add_image(name, layers=[b"shared", name.encode()])
    source, one, two = there.source(), registry.repository("one"), registry.repository("two")

    def bring(**how):
        targets = [Target(resolved(source, "a"), one, ("a",))]
        targets.append(Target(resolved(source, "b"), two, ("b",)))
        return execute(new_plan(targets, executor), EngineOptions(executor, **how))

    bring()
    (shared,) = {node.digest for node in resolved(source, "a").graph.blobs} & {
        node.digest for node in resolved(source, "b").graph.blobs
    }
    fault = Fault("open", "wrong", digest=shared, times=2)
    there.faults.append(fault)
    outcome = bring(read_everything=True, keep_going=True)
    assert set(outcome.failed) == {"memory:a", "memory:b"}
    assert fault.times == 1


def test_blob_is_mounted_from_a_repository_that_has_it(executor):
    there, registry = MemoryStore(), Registry()
    there.add_image("a", layers=[b"x"])
    one, two = registry.repository("one"), registry.repository("two")
    execute(new_plan(wanted(there, one, "a"), executor), EngineOptions(executor))
    both = [*wanted(there, two, "a"), *wanted(there, one, "a")]
    made = new_plan(both, executor)
    assert (made.count("push"), made.count("mount"), made.count("present")) == (0, 2, 2)


def test_refused_mount_falls_back_to_a_push(executor):
    there, registry = MemoryStore(), Registry()
    there.add_image("a", layers=[b"shared"])
    one, two = registry.repository("one"), registry.repository("two")
    one.store.faults.append(Fault("push", times=99, error=MediumError("full")))
    first, second = map(ImageReference.parse, ("a.example/first", "a.example/second"))
    targets = [
        Target(resolve(ImageRequest(MemoryReference("a"), name), there.source()), place, ("a",))
        for name, place in ((first, one), (second, two))
    ]
    made = new_plan(targets, executor)
    outcome = execute(made, EngineOptions(executor, keep_going=True))
    assert set(outcome.failed) == {"a.example/first"}
    assert two.store.blobs == there.blobs


def test_single_writer_gets_one_blob_at_a_time(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("a", layers=[bytes([n]) * 300_000 for n in range(12)], compress=False)
    destination = OneWriter(here)
    execute(
        new_plan(wanted(there, destination, "a"), executor),
        EngineOptions(executor),
    )
    assert here.blobs == there.blobs
    assert not destination.overlapped


def foreign_image(store, *, urls):
    layer = Descriptor(
        media_types.DOCKER_FOREIGN_LAYER_GZIP, store.add_blob(b"windows"), 7, urls=urls
    )
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.DOCKER_MANIFEST,
        "config": Descriptor(
            media_types.DOCKER_CONFIG, store.add_blob(b'{"os":"windows"}'), 16
        ).to_json(),
        "layers": [layer.to_json()],
    }
    store._add_manifest("app", value, "sha256")
    return layer


def test_foreign_layer_is_left_out_if_urls_are_accepted(executor):
    there = MemoryStore()
    layer = foreign_image(there, urls=("https://example.com/layer",))
    for capabilities, travels in ((Capabilities(), True), (Capabilities(foreign_urls=True), False)):
        here = MemoryStore()
        made = create_plan(
            wanted(there, here.destination(capabilities), "app"), executor, Cancellation()
        )
        execute(made, EngineOptions(executor))
        assert (layer.digest in here.blobs) is travels
        assert [node.digest for node in made.foreign] == ([] if travels else [layer.digest])


def test_foreign_layer_without_urls_is_copied(executor):
    there, here = MemoryStore(), MemoryStore()
    layer = foreign_image(there, urls=())
    destination = here.destination(Capabilities(foreign_urls=True))
    execute(
        new_plan(wanted(there, destination, "app"), executor),
        EngineOptions(executor),
    )
    assert layer.digest in here.blobs


def test_unsupported_manifest_type_is_refused_if_digests_are_fixed(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", docker=True)
    destination = here.destination(Capabilities(manifests=frozenset({media_types.OCI_MANIFEST})))
    (target,) = wanted(there, destination, "app")
    fixed = replace(target, options=ConversionOptions(fixed_reason="its digest was written down"))
    with pytest.raises(CannotConvertError, match="its digest was written down"):
        new_plan([fixed], executor)


def order(made):
    return {task.manifest.descriptor.digest: task.stage for task in made.manifests}


def test_manifest_shared_with_a_referrer_is_pushed_before_all_its_parents(executor):
    """What is a referrer's child for one image may be another image's own."""
    there, here = MemoryStore(), MemoryStore()
    shared = there.add_image(layers=[b"shared"])
    inner = there.add_index(manifests=[shared])
    there.add_index("a", manifests=[inner])
    other = there.add_image("b", layers=[b"other"])
    late = there.add_index(f"sha256-{other.digest.hex}.sig", manifests=[shared])
    for names in (("a", "b"), ("b", "a")):
        made = new_plan(wanted(there, here.destination(), *names), executor)
        stages = order(made)
        assert stages[shared.digest] < stages[inner.digest] < stages[there.names["a"].digest]
        assert stages[shared.digest] < stages[late.digest]
        assert stages[other.digest] < stages[late.digest]


def test_referrers_are_pushed_after_their_subjects(executor):
    there, here = MemoryStore(), MemoryStore()
    root = there.add_image("a")
    first = [there.add_artifact(subject=root, blobs=[bytes([n])]) for n in range(5)]
    second = there.add_artifact(subject=first[2], blobs=[b"second"])
    made = new_plan(wanted(there, here.destination(), "a"), executor)
    stages = order(made)
    assert stages[root.digest] == 0
    assert {stages[item.digest] for item in first} == {1}
    assert stages[second.digest] == 2


def test_different_sizes_of_one_blob_are_refused(executor):
    """One of them lies, and which one cannot be told before the bytes are read."""
    there, here = MemoryStore(), MemoryStore()
    there.add_image("honest", layers=[b"x"], compress=False)
    liar = there.blobs[there.names["honest"].digest].replace(b'"size":1}', b'"size":2}')
    digest = there.add_blob(liar)
    there.names["liar"] = Descriptor(media_types.OCI_MANIFEST, digest, len(liar))
    with pytest.raises(MalformedError, match=r"honest.*liar|liar.*honest"):
        new_plan(wanted(there, here.destination(), "honest", "liar"), executor)


def test_ten_thousand_blobs_are_planned_and_copied_in_seconds(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("a", layers=[b"%d" % n for n in range(9_999)], compress=False)
    begun = time.process_time()
    execute(
        new_plan(wanted(there, here.destination(), "a"), executor),
        EngineOptions(executor),
    )
    assert here.blobs == there.blobs
    assert time.process_time() - begun < 10


def test_failed_plan_does_not_cancel_the_program(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("a")
    destination = here.destination()
    destination.has = lambda _: (_ for _ in ()).throw(MediumError("gone"))
    program = Cancellation()
    with pytest.raises(MediumError):
        create_plan(wanted(there, destination, "a"), executor, program)
    assert not program.requested
