"""Progress in Skopeo's format."""

from __future__ import annotations

import io

import pytest

from bundler.cli.frontends.skopeo.arguments import argv
from bundler.cli.frontends.skopeo.messages import progress
from bundler.errors import BundlerError
from bundler.events import (
    BlobFinished,
    BlobTotal,
    ImageDigests,
    ImageResolved,
    ImageStarted,
    Planned,
    Retrying,
    SyncFinished,
    TransferTotals,
    WarningIssued,
)

IMAGE = ImageDigests("sha256:m", "sha256:c", ("sha256:1", "sha256:2"))
OTHER = ImageDigests("sha256:n", "sha256:d", ("sha256:2",))
LINE = argv.parse_command_line(("copy", "dir:a", "dir:b"))
PLANNED = Planned(TransferTotals(BlobTotal(1, 1)))


@pytest.fixture
def lines() -> progress.SkopeoProgress:
    return progress.SkopeoProgress(io.StringIO(), LINE, str, quiet=False)


def shown(lines: progress.SkopeoProgress) -> list[str]:
    stream = lines._stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue().splitlines()


def test_lines_of_a_copy_keep_the_order_of_its_layers(lines: progress.SkopeoProgress) -> None:
    with lines:
        lines.emit(ImageResolved((IMAGE,)))
        assert shown(lines) == []
        lines.emit(PLANNED)
        assert shown(lines)[-1] == "Copying blob sha256:2"
        lines.emit(BlobFinished("sha256:2"))
        lines.emit(BlobFinished("sha256:1"))
        assert shown(lines)[-1] == "Copying config sha256:c"
    assert shown(lines) == [
        "Getting image source signatures",
        "Copying blob sha256:1",
        "Copying blob sha256:2",
        "Copying config sha256:c",
        "Writing manifest to image destination",
    ]


def test_lines_of_an_index_keep_the_order_of_its_images(lines: progress.SkopeoProgress) -> None:
    with lines:
        lines.emit(ImageResolved((IMAGE, OTHER), 3))
        lines.emit(PLANNED)
        lines.emit(BlobFinished("sha256:d"))
        assert "Copying image sha256:n (2/2)" not in shown(lines)
    written = shown(lines)
    assert written[:3] == [
        "Getting image list signatures",
        "Copying 2 images generated from 3 images in list",
        "Copying image sha256:m (1/2)",
    ]
    assert written.index("Copying image sha256:n (2/2)") > written.index("Copying config sha256:c")
    assert written[-2:] == ["Writing manifest list to image destination", "Storing list signatures"]


def test_copy_that_fails_before_its_plan_writes_nothing(lines: progress.SkopeoProgress) -> None:
    lines.emit(ImageResolved((IMAGE,)))
    lines.__exit__(BundlerError, BundlerError("no"), None)
    assert shown(lines) == []


def test_lines_of_a_failed_attempt_are_discarded(lines: progress.SkopeoProgress) -> None:
    with lines:
        lines.emit(ImageResolved((OTHER,)))
        lines.emit(PLANNED)
        lines.emit(Retrying("x", 0.0, "a failure", 1, 1))
        lines.emit(ImageResolved((OTHER,)))
        lines.emit(PLANNED)
    written = shown(lines)
    assert written.count("Getting image source signatures") == 2
    assert written.count("Copying config sha256:d") == 1
    assert written[-1] == "Writing manifest to image destination"


def test_quiet_copy_writes_nothing() -> None:
    lines = progress.SkopeoProgress(io.StringIO(), LINE, str, quiet=True)
    with lines:
        lines.emit(ImageResolved((IMAGE,)))
        lines.emit(PLANNED)
    assert shown(lines) == []


def test_warnings_and_retries_are_logged(
    lines: progress.SkopeoProgress, capsys: pytest.CaptureFixture[str]
) -> None:
    with lines:
        lines.emit(WarningIssued("odd"))
        lines.emit(Retrying("x", 0.1, "a failure", 1, 3, BundlerError("broken")))
        lines.emit(Retrying("x", 0.1, "one request of many", 1))
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" level=warning msg=odd")
    assert second.endswith(' msg="Failed, retrying in 100ms ... (1/3). Error: broken"')


def test_images_of_a_sync_are_logged_by_number(
    lines: progress.SkopeoProgress, capsys: pytest.CaptureFixture[str]
) -> None:
    with lines:
        lines.emit(ImageStarted("b", "y", 2, 2))
        lines.emit(ImageStarted("a", "x", 1, 2))
        lines.emit(SyncFinished(2, 1))
    logged = [line.partition("level=")[2] for line in capsys.readouterr().err.splitlines()]
    assert logged == [
        'info msg="Copying image ref 1/2" from=a to=x',
        'info msg="Copying image ref 2/2" from=b to=y',
        'info msg="Synced 2 images from 1 sources"',
    ]
