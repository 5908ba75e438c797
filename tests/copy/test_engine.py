"""The engine, between two places in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler import events
from bundler.cancel import Cancellation
from bundler.copy import blob_transfer
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.plan import Target, create_plan
from bundler.copy.platform_selection import Selection
from bundler.copy.request import ImageRequest
from bundler.copy.resolve import resolve
from bundler.errors import (
    CancelledError,
    ConflictError,
    DigestMismatchError,
    MediumError,
    NoPlatformError,
    RegistryError,
)
from bundler.oci.platform import Platform
from bundler.retry_policy import Backoff, RetryPolicy
from bundler.transports.memory.transport import MemoryReference
from tests.fakes.memory import Fault, MemoryStore

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


@pytest.fixture
def executor():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(blob_transfer, "RETRY_POLICY", RetryPolicy(6, Backoff(0.001, 0.05)))


def copy(executor, source, destination, *names, selection=None, referrers=False, **running):
    """Copy ``names``, each under its own name."""
    targets = []
    for name in names:
        request = ImageRequest(
            MemoryReference(name),
            selection=selection or Selection(),
            referrers="all" if referrers else "none",
        )
        targets.append(Target(resolve(request, source), destination, (name,)))
    made = create_plan(targets, executor, Cancellation())
    return made, execute(made, EngineOptions(executor, **running))


def test_image_is_copied_unchanged(executor):
    there, here = MemoryStore(), MemoryStore()
    root = there.add_image("app", layers=[b"one", b"two"])
    copy(executor, there.source(), here.destination(), "app")
    assert here.blobs == there.blobs
    assert here.names["app"].digest == root.digest


def test_shared_blob_is_copied_once(executor):
    there, here = MemoryStore(), MemoryStore()
    for name in ("a", "b", "c"):
        there.add_image(name, layers=[b"shared", name.encode()])
    made, _ = copy(executor, there.source(), here.destination(), "a", "b", "c")
    pushes = [line for line in here.log if line.startswith("push ")]
    assert len(pushes) == len(set(pushes))
    assert made.count("push") == 1 + 3 + 3  # the shared layer, three own ones, three configs


def test_children_are_pushed_before_parents_and_names_last(executor):
    there, here = MemoryStore(), MemoryStore()
    first = there.add_image(layers=[b"x"], platform=AMD64)
    second = there.add_image(layers=[b"y"], platform=ARM64)
    inner = there.add_index(manifests=[first, second])
    there.add_index("all", manifests=[inner])
    copy(executor, there.source(), here.destination(), "all")
    pushed = [line.split()[1] for line in here.log if line.startswith("push ")]
    order = [pushed.index(item.digest.text) for item in (first, inner, there.names["all"])]
    assert order == sorted(order)
    assert here.log[-1] == "commit all"


def test_missing_blob_of_a_present_image_is_copied(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"one", b"two"])
    copy(executor, there.source(), here.destination(), "app")
    lost = next(iter(here.blobs))
    del here.blobs[lost]
    copy(executor, there.source(), here.destination(), "app")
    assert here.blobs == there.blobs


def test_second_copy_pushes_nothing(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app")
    copy(executor, there.source(), here.destination(), "app")
    here.log.clear()
    made, _ = copy(executor, there.source(), here.destination(), "app")
    assert made.size("push") == 0
    assert not [line for line in here.log if line.startswith("push ")]


def test_image_with_a_damaged_blob_is_not_published(executor):
    there = MemoryStore()
    there.add_image("app", layers=[b"one"])
    layer = next(digest for digest, data in there.blobs.items() if data[:2] == b"\x1f\x8b")
    there.faults.append(Fault("open", "wrong", digest=layer, times=100))
    here = MemoryStore()
    with pytest.raises(DigestMismatchError, match=rf"{layer.text}.*\(in memory:app\)"):
        copy(executor, there.source(), here.destination(), "app")
    assert layer not in here.blobs
    assert not here.names


def test_interrupted_source_is_reopened_at_its_offset(executor):
    there = MemoryStore()
    there.add_image("app", layers=[b"z" * 3_000_000], compress=False)
    layer = max(there.blobs, key=lambda digest: len(there.blobs[digest]))
    cut = RegistryError("cut", temporary=True)
    there.faults.append(Fault("read", digest=layer, after=1_500_000, times=2, error=cut))
    here = MemoryStore()
    told = []
    copy(executor, there.source(), here.destination(), "app", emit=told.append)
    assert here.blobs == there.blobs
    opened = [line for line in there.log if line.startswith(f"open {layer}")]
    assert opened[0].endswith("@0")
    assert not opened[-1].endswith("@0")
    assert any(isinstance(event, events.Retrying) for event in told)


def test_temporary_failure_of_the_destination_is_retried(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app")
    here.faults.append(Fault("push", times=2, error=RegistryError("busy", temporary=True)))
    copy(executor, there.source(), here.destination(), "app")
    assert here.blobs == there.blobs


def test_permanent_failure_publishes_no_names(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app")
    here.faults.append(Fault("push", times=100, error=MediumError("broken")))
    with pytest.raises(MediumError, match="broken"):
        copy(executor, there.source(), here.destination(), "app")
    assert not here.names


def test_keep_going_omits_only_failed_images(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("good", layers=[b"good"])
    there.add_image("bad", layers=[b"bad", b"b" * 99])
    bad = there.names["bad"]
    here.faults.append(Fault("push", digest=bad.digest, times=9, error=MediumError("no")))
    _, outcome = copy(executor, there.source(), here.destination(), "good", "bad", keep_going=True)
    assert set(here.names) == {"good"}
    assert set(outcome.failed) == {"memory:bad"}


def test_cancelled_run_publishes_no_names(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app")
    cancellation = Cancellation()
    cancellation.request(15)
    with pytest.raises(CancelledError) as caught:
        copy(executor, there.source(), here.destination(), "app", cancellation=cancellation)
    assert caught.value.status == 143
    assert not here.names


def test_one_platform_is_copied_as_its_own_manifest(executor):
    there, here = MemoryStore(), MemoryStore()
    amd = there.add_image(layers=[b"x"], platform=AMD64)
    arm = there.add_image(layers=[b"y"], platform=ARM64)
    index = there.add_index("app", manifests=[amd, arm])
    copy(executor, there.source(), here.destination(), "app", selection=Selection((ARM64,)))
    assert here.names["app"].digest == arm.digest
    assert amd.digest not in here.blobs
    assert index.digest not in here.blobs


def test_several_platforms_are_copied_in_a_smaller_index(executor):
    there, here = MemoryStore(), MemoryStore()
    images = [
        there.add_image(layers=[platform.encode()], platform=Platform.parse(platform))
        for platform in ("linux/amd64", "linux/arm64", "linux/s390x")
    ]
    index = there.add_index("app", manifests=images, annotations={"keep": "me"})
    made, _ = copy(
        executor, there.source(), here.destination(), "app", selection=Selection((AMD64, ARM64))
    )
    image = made.targets[0].image
    assert image.replaces == index.digest
    assert here.names["app"].digest == image.graph.root.digest
    assert images[2].digest not in here.blobs
    assert b'"keep":"me"' in here.blobs[image.graph.root.digest]


def test_missing_platform_is_reported_with_the_offered_ones(executor):
    there = MemoryStore()
    there.add_index("app", manifests=[there.add_image(platform=AMD64)])
    request = ImageRequest(MemoryReference("app"), selection=Selection((ARM64,)))
    with pytest.raises(NoPlatformError) as raised:
        resolve(request, there.source())
    assert raised.value.requested == ("linux/arm64",)
    assert raised.value.offered == ("linux/amd64",)


def test_single_image_of_another_platform_is_refused():
    there = MemoryStore()
    there.add_image("app", platform=AMD64)
    request = ImageRequest(MemoryReference("app"), selection=Selection((ARM64,)))
    with pytest.raises(NoPlatformError) as raised:
        resolve(request, there.source())
    assert raised.value.requested == ("linux/arm64",)
    assert raised.value.offered == ("linux/amd64",)


def test_referrers_and_cosign_tags_are_copied(executor):
    there, here = MemoryStore(), MemoryStore()
    root = there.add_image("app")
    sbom = there.add_artifact(subject=root)
    deeper = there.add_artifact(subject=sbom, blobs=[b"about the sbom"])
    tag = f"sha256-{root.digest.hex}.sig"
    there.add_artifact(tag, blobs=[b"signature"])
    made, _ = copy(executor, there.source(), here.destination(), "app", referrers=True)
    found = {item.graph.root.digest: item.tag for item in made.targets[0].image.referrers}
    assert found == {sbom.digest: None, deeper.digest: None, there.names[tag].digest: tag}
    assert here.blobs == there.blobs
    assert tag in here.names


def test_one_name_for_two_images_is_a_conflict(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("a", layers=[b"a"])
    there.add_image("b", layers=[b"b"])
    destination = here.destination()
    targets = [
        Target(resolve(ImageRequest(MemoryReference(name)), there.source()), destination, ("same",))
        for name in ("a", "b")
    ]
    with pytest.raises(ConflictError, match="'same'"):
        create_plan(targets, executor, Cancellation())


def test_progress_events_add_up_to_the_plan(executor):
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"z" * 2_500_000], compress=False)
    told = []
    made, _ = copy(executor, there.source(), here.destination(), "app", emit=told.append)
    moved = sum(event.advance for event in told if isinstance(event, events.BlobProgressed))
    assert moved == made.size("push")
