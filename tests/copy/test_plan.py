"""Plans: each blob once per destination, children before parents."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bundler.cancel import Cancellation
from bundler.copy.convert.options import ConversionOptions
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.image import ImageRequest
from bundler.copy.plan import create_plan
from bundler.copy.planned_image import PlannedImage
from bundler.copy.resolving.resolve import resolve
from bundler.errors import CannotConvertError, MalformedError, MediumError
from bundler.events import BlobTotal, TransferTotals
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.reference import ImageReference
from bundler.ports import Capabilities
from bundler.transports.memory.transport import MemoryReference
from tests.copy.registry import OneWriter, Registry
from tests.fakes.memory import Fault, MemoryStore


def resolve_image(source, name):
    return resolve(ImageRequest(MemoryReference(name), referrers="all"), source)


def new_plan(targets, executor):
    return create_plan(targets, executor, Cancellation())


def create_targets(store, destination, *names):
    return [
        PlannedImage(resolve_image(store.source(), name), destination, (name,)) for name in names
    ]


def read_log(store, verb):
    return [line for line in store.log if line.startswith(f"{verb} ")]


@pytest.mark.parametrize("mounts", [True, False, "broken"])
def test_blob_is_pushed_once_and_mounted_into_other_repositories(executor, mounts):
    """The blob is pushed if the registry refuses the mount or fails."""
    src, registry = MemoryStore(), Registry(mounts=mounts)
    for name in ("a", "b"):
        src.add_image(name, layers=[b"shared", name.encode()])
    first_repository, second_repository = registry.repository("one"), registry.repository("two")
    plan = create_plan(
        [*create_targets(src, first_repository, "a"), *create_targets(src, second_repository, "b")],
        executor,
        Cancellation(),
    )
    assert (plan.count("push"), plan.count("mount")) == (5, 1)
    totals = execute(plan, EngineOptions(executor)).totals
    assert (totals.pushed.blobs, totals.mounted.blobs) == ((5, 1) if mounts is True else (6, 0))
    (mount,) = read_log(second_repository.store, "mount")
    assert mount.endswith(" from one")
    digest = mount.split()[1]
    assert (f"push {digest}" in second_repository.store.log) is (mounts is not True)
    assert first_repository.store.blobs | second_repository.store.blobs == src.blobs
    for store, name in ((first_repository.store, "a"), (second_repository.store, "b")):
        assert all(
            node.digest in store.blobs for node in resolve_image(store.source(), name).graph.blobs
        )


def test_present_blob_is_read_once_for_all_repositories(executor):
    """An import reads each blob of its medium once; a damaged one fails every image that has it."""
    src, registry = MemoryStore(), Registry()
    for name in ("a", "b"):
        src.add_image(name, layers=[b"shared", name.encode()])
    source, first_repository, second_repository = (
        src.source(),
        registry.repository("one"),
        registry.repository("two"),
    )

    def copy(**how):
        targets = [PlannedImage(resolve_image(source, "a"), first_repository, ("a",))]
        targets.append(PlannedImage(resolve_image(source, "b"), second_repository, ("b",)))
        return execute(new_plan(targets, executor), EngineOptions(executor, **how))

    copy()
    (shared,) = {node.digest for node in resolve_image(source, "a").graph.blobs} & {
        node.digest for node in resolve_image(source, "b").graph.blobs
    }
    fault = Fault("open", "wrong", digest=shared, times=2)
    src.faults.append(fault)
    outcome = copy(read_everything=True, keep_going=True)
    assert set(outcome.failed) == {"memory:a", "memory:b"}
    assert fault.times == 1


def test_blob_is_mounted_from_a_repository_that_has_it(executor):
    src, registry = MemoryStore(), Registry()
    src.add_image("a", layers=[b"x"])
    first_repository, second_repository = registry.repository("one"), registry.repository("two")
    execute(new_plan(create_targets(src, first_repository, "a"), executor), EngineOptions(executor))
    both = [
        *create_targets(src, second_repository, "a"),
        *create_targets(src, first_repository, "a"),
    ]
    plan = new_plan(both, executor)
    assert (plan.count("push"), plan.count("mount"), plan.count("present")) == (0, 2, 2)


def test_refused_mount_falls_back_to_a_push(executor):
    src, registry = MemoryStore(), Registry()
    src.add_image("a", layers=[b"shared"])
    first_repository, second_repository = registry.repository("one"), registry.repository("two")
    first_repository.store.faults.append(Fault("push", times=99, error=MediumError("full")))
    first, second = map(ImageReference.parse, ("a.example/first", "a.example/second"))
    targets = [
        PlannedImage(
            resolve(ImageRequest(MemoryReference("a"), name), src.source()), destination, ("a",)
        )
        for name, destination in ((first, first_repository), (second, second_repository))
    ]
    plan = new_plan(targets, executor)
    outcome = execute(plan, EngineOptions(executor, keep_going=True))
    assert set(outcome.failed) == {"a.example/first"}
    assert second_repository.store.blobs == src.blobs
    stored = sum(task.size for task in plan.blobs if task.destination is second_repository)
    assert outcome.totals == TransferTotals(pushed=BlobTotal(2, stored))


def test_single_writer_gets_one_blob_at_a_time(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("a", layers=[bytes([n]) * 300_000 for n in range(12)], compress=False)
    destination = OneWriter(dst)
    execute(
        new_plan(create_targets(src, destination, "a"), executor),
        EngineOptions(executor),
    )
    assert dst.blobs == src.blobs
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


def test_foreign_layer_is_omitted_if_urls_are_accepted(executor):
    src = MemoryStore()
    layer = foreign_image(src, urls=("https://example.com/layer",))
    for capabilities, travels in (
        (Capabilities(), True),
        (Capabilities(omits_foreign_layers=True), False),
    ):
        dst = MemoryStore()
        plan = create_plan(
            create_targets(src, dst.destination(capabilities), "app"), executor, Cancellation()
        )
        execute(plan, EngineOptions(executor))
        assert (layer.digest in dst.blobs) is travels
        assert [node.digest for node in plan.foreign] == ([] if travels else [layer.digest])


def test_foreign_layer_without_urls_is_copied(executor):
    src, dst = MemoryStore(), MemoryStore()
    layer = foreign_image(src, urls=())
    destination = dst.destination(Capabilities(omits_foreign_layers=True))
    execute(
        new_plan(create_targets(src, destination, "app"), executor),
        EngineOptions(executor),
    )
    assert layer.digest in dst.blobs


def test_unsupported_manifest_type_is_refused_if_digests_are_fixed(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", docker=True)
    destination = dst.destination(Capabilities(manifests=frozenset({media_types.OCI_MANIFEST})))
    (target,) = create_targets(src, destination, "app")
    fixed = replace(target, options=ConversionOptions(fixed_reason="its digest is recorded"))
    with pytest.raises(CannotConvertError) as caught:
        new_plan([fixed], executor)
    assert caught.value.reason == "its digest is recorded"


def order(plan):
    return {task.manifest.descriptor.digest: task.stage for task in plan.manifests}


def test_manifest_shared_with_a_referrer_is_pushed_before_all_its_parents(executor):
    """The child of a referrer of one image can be part of another image."""
    src, dst = MemoryStore(), MemoryStore()
    shared = src.add_image(layers=[b"shared"])
    inner = src.add_index(manifests=[shared])
    src.add_index("a", manifests=[inner])
    other = src.add_image("b", layers=[b"other"])
    late = src.add_index(f"sha256-{other.digest.hex}.sig", manifests=[shared])
    for names in (("a", "b"), ("b", "a")):
        plan = new_plan(create_targets(src, dst.destination(), *names), executor)
        stages = order(plan)
        assert stages[shared.digest] < stages[inner.digest] < stages[src.names["a"].digest]
        assert stages[shared.digest] < stages[late.digest]
        assert stages[other.digest] < stages[late.digest]


def test_referrers_are_pushed_after_their_subjects(executor):
    src, dst = MemoryStore(), MemoryStore()
    root = src.add_image("a")
    first = [src.add_artifact(subject=root, blobs=[bytes([n])]) for n in range(5)]
    second = src.add_artifact(subject=first[2], blobs=[b"second"])
    plan = new_plan(create_targets(src, dst.destination(), "a"), executor)
    stages = order(plan)
    assert stages[root.digest] == 0
    assert {stages[item.digest] for item in first} == {1}
    assert stages[second.digest] == 2


def test_different_sizes_of_one_blob_are_refused(executor):
    """One of the images is wrong; which one is unknown before the blob is read."""
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("honest", layers=[b"x"], compress=False)
    liar = src.blobs[src.names["honest"].digest].replace(b'"size":1}', b'"size":2}')
    digest = src.add_blob(liar)
    src.names["liar"] = Descriptor(media_types.OCI_MANIFEST, digest, len(liar))
    with pytest.raises(MalformedError, match=r"honest.*liar|liar.*honest"):
        new_plan(create_targets(src, dst.destination(), "honest", "liar"), executor)


def test_ten_thousand_blobs_are_planned_and_copied_in_seconds(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("a", layers=[b"%d" % n for n in range(9_999)], compress=False)
    begun = time.process_time()
    execute(
        new_plan(create_targets(src, dst.destination(), "a"), executor),
        EngineOptions(executor),
    )
    assert dst.blobs == src.blobs
    assert time.process_time() - begun < 10


def test_failed_plan_does_not_cancel_the_program(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("a")
    destination = dst.destination()
    destination.has = lambda _: (_ for _ in ()).throw(MediumError("gone"))
    program = Cancellation()
    with pytest.raises(MediumError):
        create_plan(create_targets(src, destination, "a"), executor, program)
    assert not program.requested
