"""The engine, between two stores in memory."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler import events, transports
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.image import ImageRequest
from bundler.copy.plan import create_plan
from bundler.copy.planned_image import PlannedImage
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    CancelledError,
    ConflictError,
    DigestMismatchError,
    MediumError,
    NoPlatformError,
    NotFoundError,
    RegistryError,
)
from bundler.events import BlobTotal, TransferTotals
from bundler.oci.platform import Platform
from bundler.ports import OpenOptions
from bundler.transports.memory.transport import MemoryReference
from bundler.transports.oci_layout.transport import LayoutDestination
from tests.fakes.memory import Fault, MemoryStore

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


def copy(executor, source, destination, *names, selection=None, referrers=False, **options):
    """Copy the images ``names``, which keep their names."""
    targets = []
    for name in names:
        request = ImageRequest(
            MemoryReference(name),
            selection=selection or PlatformSelection(),
            referrers="all" if referrers else "none",
        )
        targets.append(PlannedImage(resolve(request, source), destination, (name,)))
    plan = create_plan(targets, executor, Cancellation())
    return plan, execute(plan, EngineOptions(executor, **options))


def test_image_is_copied_unchanged(executor):
    src, dst = MemoryStore(), MemoryStore()
    root = src.add_image("app", layers=[b"one", b"two"])
    copy(executor, src.source(), dst.destination(), "app")
    assert dst.blobs == src.blobs
    assert dst.names["app"].digest == root.digest


def test_shared_blob_is_copied_once(executor):
    src, dst = MemoryStore(), MemoryStore()
    for name in ("a", "b", "c"):
        src.add_image(name, layers=[b"shared", name.encode()])
    plan, _ = copy(executor, src.source(), dst.destination(), "a", "b", "c")
    pushes = [line for line in dst.log if line.startswith("push ")]
    assert len(pushes) == len(set(pushes))
    assert plan.count("push") == 1 + 3 + 3  # the shared layer, three own ones, three configs


def test_children_are_pushed_before_parents_and_names_last(executor):
    src, dst = MemoryStore(), MemoryStore()
    first = src.add_image(layers=[b"x"], platform=AMD64)
    second = src.add_image(layers=[b"y"], platform=ARM64)
    inner = src.add_index(manifests=[first, second])
    src.add_index("all", manifests=[inner])
    copy(executor, src.source(), dst.destination(), "all")
    pushed = [line.split()[1] for line in dst.log if line.startswith("push ")]
    order = [pushed.index(item.digest.text) for item in (first, inner, src.names["all"])]
    assert order == sorted(order)
    assert dst.log[-1] == "commit all"


def test_missing_blob_of_a_present_image_is_copied(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"one", b"two"])
    copy(executor, src.source(), dst.destination(), "app")
    lost = next(iter(dst.blobs))
    del dst.blobs[lost]
    copy(executor, src.source(), dst.destination(), "app")
    assert dst.blobs == src.blobs


def test_second_copy_pushes_nothing(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app")
    copy(executor, src.source(), dst.destination(), "app")
    dst.log.clear()
    plan, _ = copy(executor, src.source(), dst.destination(), "app")
    assert plan.size("push") == 0
    assert not [line for line in dst.log if line.startswith("push ")]


def test_missing_blob_at_the_source_is_reported_with_its_image(executor):
    src = MemoryStore()
    src.add_image("app", layers=[b"one"])
    del src.blobs[next(digest for digest, data in src.blobs.items() if data[:2] == b"\x1f\x8b")]
    with pytest.raises(NotFoundError) as raised:
        copy(executor, src.source(), MemoryStore().destination(), "app")
    assert raised.value.images == ("memory:app",)


def test_image_with_a_damaged_blob_is_not_published(executor):
    src = MemoryStore()
    src.add_image("app", layers=[b"one"])
    layer = next(digest for digest, data in src.blobs.items() if data[:2] == b"\x1f\x8b")
    src.faults.append(Fault("open", "wrong", digest=layer, times=100))
    dst = MemoryStore()
    with pytest.raises(DigestMismatchError, match=rf"{layer.text}.*\(in memory:app\)"):
        copy(executor, src.source(), dst.destination(), "app")
    assert layer not in dst.blobs
    assert not dst.names


def test_interrupted_source_is_reopened_at_its_offset(executor):
    src = MemoryStore()
    src.add_image("app", layers=[b"z" * 3_000_000], compress=False)
    layer = max(src.blobs, key=lambda digest: len(src.blobs[digest]))
    cut = RegistryError("cut", temporary=True)
    src.faults.append(Fault("read", digest=layer, after=1_500_000, times=2, error=cut))
    dst = MemoryStore()
    emitted = []
    copy(executor, src.source(), dst.destination(), "app", emit=emitted.append)
    assert dst.blobs == src.blobs
    opened = [line for line in src.log if line.startswith(f"open {layer}")]
    assert opened[0].endswith("@0")
    assert not opened[-1].endswith("@0")
    assert any(isinstance(event, events.Retrying) for event in emitted)


def test_temporary_failure_of_the_destination_is_retried(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app")
    dst.faults.append(Fault("push", times=2, error=RegistryError("busy", temporary=True)))
    copy(executor, src.source(), dst.destination(), "app")
    assert dst.blobs == src.blobs


def test_totals_do_not_include_refused_blobs(executor):
    """Progress of the refused blob is subtracted as well."""
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"one"])
    layer = next(digest for digest, data in src.blobs.items() if data[:2] == b"\x1f\x8b")
    src.faults.append(Fault("open", "wrong", digest=layer, times=100))
    emitted = []
    plan, result = copy(
        executor, src.source(), dst.destination(), "app", keep_going=True, emit=emitted.append
    )
    (config,) = (task.size for task in plan.blobs if task.node.digest != layer)
    assert result.totals == TransferTotals(pushed=BlobTotal(1, config))
    moved = sum(event.advance for event in emitted if isinstance(event, events.BlobProgressed))
    assert moved == config


def test_blob_that_is_damaged_at_destination_is_counted_as_pushed(executor, tmp_path):
    src = MemoryStore()
    src.add_image("app", layers=[b"one"])
    path = tmp_path / "images"
    with closing(LayoutDestination(path)) as destination:
        plan, _ = copy(executor, src.source(), destination, "app")
    damaged = max(plan.blobs, key=lambda task: task.size)
    file = path / "blobs" / "sha256" / damaged.node.digest.text.removeprefix("sha256:")
    file.chmod(0o644)
    file.write_bytes(bytes(damaged.size))
    with closing(LayoutDestination(path)) as destination:
        _, result = copy(executor, src.source(), destination, "app")
    intact = plan.size("push") - damaged.size
    present = BlobTotal(1, intact)
    pushed = BlobTotal(1, damaged.size)
    assert result.totals == TransferTotals(pushed, present, checked=present)


def test_permanent_failure_publishes_no_names(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app")
    error = MediumError("broken")
    dst.faults.append(Fault("push", times=100, error=error))
    with pytest.raises(MediumError) as caught:
        copy(executor, src.source(), dst.destination(), "app")
    assert caught.value is error
    assert not dst.names


def test_keep_going_omits_only_failed_images(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("good", layers=[b"good"])
    src.add_image("bad", layers=[b"bad", b"b" * 99])
    bad = src.names["bad"]
    dst.faults.append(Fault("push", digest=bad.digest, times=9, error=MediumError("no")))
    _, outcome = copy(executor, src.source(), dst.destination(), "good", "bad", keep_going=True)
    assert set(dst.names) == {"good"}
    assert set(outcome.failed) == {"memory:bad"}


def test_cancelled_run_publishes_no_names(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app")
    cancellation = Cancellation()
    cancellation.request(15)
    with pytest.raises(CancelledError) as caught:
        copy(executor, src.source(), dst.destination(), "app", cancellation=cancellation)
    assert caught.value.status == 143
    assert not dst.names


def test_one_platform_is_copied_as_its_own_manifest(executor):
    src, dst = MemoryStore(), MemoryStore()
    amd = src.add_image(layers=[b"x"], platform=AMD64)
    arm = src.add_image(layers=[b"y"], platform=ARM64)
    index = src.add_index("app", manifests=[amd, arm])
    copy(executor, src.source(), dst.destination(), "app", selection=PlatformSelection((ARM64,)))
    assert dst.names["app"].digest == arm.digest
    assert amd.digest not in dst.blobs
    assert index.digest not in dst.blobs


def test_several_platforms_are_copied_in_a_smaller_index(executor):
    src, dst = MemoryStore(), MemoryStore()
    images = [
        src.add_image(layers=[platform.encode()], platform=Platform.parse(platform))
        for platform in ("linux/amd64", "linux/arm64", "linux/s390x")
    ]
    index = src.add_index("app", manifests=images, annotations={"keep": "me"})
    plan, _ = copy(
        executor,
        src.source(),
        dst.destination(),
        "app",
        selection=PlatformSelection((AMD64, ARM64)),
    )
    image = plan.images[0].image
    assert image.replaces == index.digest
    assert dst.names["app"].digest == image.graph.root.digest
    assert images[2].digest not in dst.blobs
    assert b'"keep":"me"' in dst.blobs[image.graph.root.digest]


def test_missing_platform_is_reported_with_the_offered_ones(executor):
    src = MemoryStore()
    src.add_index("app", manifests=[src.add_image(platform=AMD64)])
    request = ImageRequest(MemoryReference("app"), selection=PlatformSelection((ARM64,)))
    with pytest.raises(NoPlatformError) as raised:
        resolve(request, src.source())
    assert raised.value.requested == ("linux/arm64",)
    assert raised.value.offered == ("linux/amd64",)


def test_single_image_of_another_platform_is_refused():
    src = MemoryStore()
    src.add_image("app", platform=AMD64)
    request = ImageRequest(MemoryReference("app"), selection=PlatformSelection((ARM64,)))
    with pytest.raises(NoPlatformError) as raised:
        resolve(request, src.source())
    assert raised.value.requested == ("linux/arm64",)
    assert raised.value.offered == ("linux/amd64",)


@pytest.mark.parametrize("is_index", [True, False])
def test_image_with_some_selected_platforms_is_copied_with_warning(is_index):
    src = MemoryStore()
    image = src.add_image(None if is_index else "app", platform=AMD64)
    if is_index:
        src.add_index("app", manifests=[image])
    emitted = []
    request = ImageRequest(MemoryReference("app"), selection=PlatformSelection((AMD64, ARM64)))
    found = resolve(request, src.source(), emit=emitted.append)
    assert found.graph.root.digest == src.names["app"].digest
    assert found.graph.platforms == (AMD64,)
    assert [event.text for event in emitted] == ["memory:app: no image for linux/arm64; left out"]


def test_referrers_and_cosign_tags_are_copied(executor):
    src, dst = MemoryStore(), MemoryStore()
    root = src.add_image("app")
    sbom = src.add_artifact(subject=root)
    deeper = src.add_artifact(subject=sbom, blobs=[b"about the sbom"])
    tag = f"sha256-{root.digest.hex}.sig"
    src.add_artifact(tag, blobs=[b"signature"])
    plan, _ = copy(executor, src.source(), dst.destination(), "app", referrers=True)
    found = {item.graph.root.digest: item.tag for item in plan.images[0].image.referrers}
    assert found == {sbom.digest: None, deeper.digest: None, src.names[tag].digest: tag}
    assert dst.blobs == src.blobs
    assert tag in dst.names


def test_one_name_for_two_images_is_a_conflict(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("a", layers=[b"a"])
    src.add_image("b", layers=[b"b"])
    destination = dst.destination()
    targets = [
        PlannedImage(
            resolve(ImageRequest(MemoryReference(name)), src.source()), destination, ("same",)
        )
        for name in ("a", "b")
    ]
    with pytest.raises(ConflictError):
        create_plan(targets, executor, Cancellation())


@pytest.mark.parametrize(
    ("location", "keeps_blobs"),
    [
        ("oci:{}/out", True),
        ("dir:{}/image", True),
        ("oci-archive:{}/a.tar", False),
        ("docker-archive:{}/a.tar:app:1", False),
        ("docker-daemon:app:1", False),
        ("containers-storage:[vfs@{0}/graph+{0}/run]app:1", False),
    ],
)
def test_interrupted_copy_states_whether_blobs_are_kept(executor, tmp_path, location, keeps_blobs):
    """An archive is written as one stream, and engines and image stores get complete images."""
    src, emitted, cancellation = MemoryStore(), [], Cancellation()
    src.add_image("app", layers=[b"one", b"two"])

    def emit(event):
        emitted.append(event)
        if isinstance(event, events.BlobFinished):
            cancellation.request()

    options = OpenOptions(Settings, scratch=tmp_path)
    reference = transports.parse(location.format(tmp_path))
    with (
        closing(transports.open_destination(reference, options)) as destination,
        pytest.raises(CancelledError) as raised,
    ):
        copy(executor, src.source(), destination, "app", emit=emit, cancellation=cancellation)
    (planned,) = (event for event in emitted if isinstance(event, events.Planned))
    assert (planned.keeps_blobs, raised.value.keeps_blobs) == (keeps_blobs, keeps_blobs)


def test_outage_states_whether_blobs_are_kept(executor, tmp_path):
    src = MemoryStore()
    src.add_image("app", layers=[b"one"])
    error = RegistryError("connection refused", temporary=True)
    error.add_outage(60)
    hint = error.hint
    layer = next(digest for digest, data in src.blobs.items() if data[:2] == b"\x1f\x8b")
    src.faults.append(Fault("open", error=error, digest=layer, times=100))
    reference = transports.parse(f"oci-archive:{tmp_path}/a.tar")
    with (
        closing(transports.open_destination(reference, OpenOptions(Settings))) as destination,
        pytest.raises(RegistryError) as raised,
    ):
        copy(executor, src.source(), destination, "app")
    assert raised.value.hint != hint


def test_progress_events_add_up_to_the_plan(executor):
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"z" * 2_500_000], compress=False)
    emitted = []
    plan, _ = copy(executor, src.source(), dst.destination(), "app", emit=emitted.append)
    moved = sum(event.advance for event in emitted if isinstance(event, events.BlobProgressed))
    assert moved == plan.size("push")
