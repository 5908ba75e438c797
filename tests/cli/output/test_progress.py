"""Progress displays, and the state that they format."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

from bundler import events
from bundler.cli.frontends.native import NativeFrontend
from bundler.cli.output.progress import BarDisplay, LogDisplay, Progress, ProgressState
from bundler.cli.runtime.environment import Environment
from bundler.events import BlobTotal, TransferTotals

MIB = 1024 * 1024
NONE = BlobTotal()
FIRST = "sha256:" + "a" * 64
SECOND = "sha256:" + "b" * 64


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def planned(
    blobs: int = 2,
    size: int = 40 * MIB,
    *,
    present: BlobTotal = NONE,
    mounted: BlobTotal = NONE,
    checked: BlobTotal = NONE,
) -> events.Planned:
    return events.Planned(TransferTotals(BlobTotal(blobs, size), present, mounted, checked=checked))


def create_halfway_state() -> ProgressState:
    state = ProgressState(0.0)
    state.add(planned())
    state.add(events.BlobStarted(FIRST, 10 * MIB, "copy"))
    state.add(events.BlobStarted(SECOND, 30 * MIB, "copy"))
    state.add(events.BlobProgressed(FIRST, 10 * MIB))
    state.add(events.BlobProgressed(SECOND, 10 * MIB))
    state.add(events.BlobFinished(FIRST))
    return state


def test_position_includes_bytes_rate_and_time_left() -> None:
    state = create_halfway_state()
    state.sample(4.0)
    assert (
        state.describe_position()
        == "1 of 2 blobs, 20.0 MiB of 40.0 MiB (50 %), 5.0 MiB/s, 4 s left"
    )


def test_rate_is_measured_over_the_last_seconds() -> None:
    state = create_halfway_state()
    state.sample(1.0)
    state.sample(30.0)
    state.add(events.BlobProgressed(SECOND, 5 * MIB))
    state.sample(35.0)
    assert state.rate == MIB


def test_stalled_run_has_no_time_left() -> None:
    state = create_halfway_state()
    state.sample(1.0)
    state.sample(50.0)
    state.sample(61.0)
    assert state.describe_position().endswith("0 B/s")


def test_total_includes_present_content_that_is_hashed() -> None:
    state = ProgressState(0.0)
    present = BlobTotal(2, 8 * MIB)
    state.add(planned(0, 0, present=present, checked=present))
    state.add(events.BlobStarted(FIRST, 4 * MIB, "check"))
    state.add(events.BlobProgressed(FIRST, 4 * MIB))
    state.add(events.BlobFinished(FIRST))
    assert state.describe_plan() == (
        "0 blobs to transfer, 0 B; already present: 8.0 MiB in 2 blobs"
    )
    assert state.describe_position().startswith("1 of 2 blobs, 4.0 MiB of 8.0 MiB (50 %)")
    state.add(events.Completed(TransferTotals(present=present, checked=present)))
    assert state.describe_result(0.5) == (
        "0 blobs, 0 B in 0.5 s; already present: 8.0 MiB in 2 blobs; checked: 8.0 MiB in 2 blobs"
    )


def test_refused_mount_is_counted_as_push() -> None:
    state = ProgressState(0.0)
    state.add(planned(1, MIB, mounted=BlobTotal(1, MIB)))
    state.add(events.PushAdded(MIB))
    for digest in (FIRST, SECOND):
        state.add(events.BlobStarted(digest, MIB, "copy"))
        state.add(events.BlobProgressed(digest, MIB))
        state.add(events.BlobFinished(digest))
    assert state.describe_plan() == "2 blobs to transfer, 2.0 MiB"
    assert state.describe_position().startswith("2 of 2 blobs, 2.0 MiB of 2.0 MiB (100 %)")


def test_time_left_is_estimated_from_seconds_after_the_first_byte() -> None:
    state = ProgressState(0.0)
    state.add(planned(blobs=1))
    for now in (10.0, 20.0):
        state.sample(now)
    state.add(events.BlobStarted(FIRST, 40 * MIB, "copy"))
    state.add(events.BlobProgressed(FIRST, 10 * MIB))
    state.sample(21.0)
    assert state.describe_position().endswith("10.0 MiB/s")
    state.add(events.BlobProgressed(FIRST, 20 * MIB))
    state.sample(23.0)
    assert state.describe_position().endswith("10.0 MiB/s, 1 s left")


@pytest.mark.parametrize("total", [300 * MIB, 300 * 1024])
def test_first_bytes_are_insufficient_for_an_estimate(total: int) -> None:
    state = ProgressState(0.0)
    state.add(planned(size=total))
    state.sample(1.0)
    state.add(events.BlobStarted(FIRST, 207, "copy"))
    state.add(events.BlobProgressed(FIRST, 207))
    state.sample(2.0)
    state.sample(5.0)
    assert "left" not in state.describe_position()


def test_slow_transfer_has_an_estimate_later() -> None:
    state = ProgressState(0.0)
    state.add(planned(size=300 * MIB))
    state.add(events.BlobStarted(FIRST, 300 * MIB, "copy"))
    state.sample(0.0)
    for now in range(1, 121):
        state.add(events.BlobProgressed(FIRST, 10_000))
        state.sample(float(now))
    assert state.describe_position().endswith(" h 42 min left")


def test_verification_reports_checked_files() -> None:
    state = ProgressState(0.0)
    state.add(events.Planned(TransferTotals(checked=BlobTotal(2, 8 * MIB)), "check"))
    assert state.describe_plan() == "2 files to check, 8.0 MiB"
    state.add(events.BlobStarted(FIRST, 4 * MIB, "check"))
    state.add(events.BlobFinished(FIRST))
    assert state.describe_interruption() == "1 of 2 files (4.0 MiB of 8.0 MiB) was checked"


def test_progress_of_a_failed_attempt_is_subtracted() -> None:
    state = create_halfway_state()
    state.add(events.BlobProgressed(SECOND, -10 * MIB))
    assert state.moved == 10 * MIB
    assert state.moving[SECOND].done == 0


def test_resumed_bytes_are_not_counted_as_transferred() -> None:
    state = ProgressState(0.0)
    state.add(planned(blobs=1))
    state.add(events.BlobStarted(FIRST, 40 * MIB, "copy"))
    state.add(events.BlobProgressed(FIRST, 30 * MIB))
    assert state.add(events.BlobResumed(FIRST, 30 * MIB)) == (
        f"{FIRST}: resumed: 30.0 MiB already stored"
    )
    state.add(events.BlobProgressed(FIRST, 10 * MIB))
    state.add(events.BlobFinished(FIRST))
    assert state.percent == 100
    state.add(events.Completed(TransferTotals(BlobTotal(1, 10 * MIB), resumed=30 * MIB)))
    assert state.describe_result(10.0) == ("1 blob, 10.0 MiB in 10 s, 1.0 MiB/s; resumed: 30.0 MiB")


def test_blob_may_be_transferred_to_two_destinations_at_once() -> None:
    state = ProgressState(0.0)
    for _ in range(2):
        state.add(events.BlobStarted(FIRST, MIB, "copy"))
    state.add(events.BlobFinished(FIRST))
    assert state.moving[FIRST].size == MIB
    state.add(events.BlobFinished(FIRST))
    assert not state.moving
    assert state.finished == 2


@pytest.mark.parametrize(
    ("published", "expected"),
    [(0, "no name was published"), (1, "1 name was published"), (2, "2 names were published")],
)
def test_verbs_agree_with_the_number_of_names(published: int, expected: str) -> None:
    state = create_halfway_state()
    for number in range(published):
        state.add(events.ImagePublished(f"app:{number}", FIRST))
    assert state.describe_interruption().endswith(f"; {expected}")


@pytest.mark.parametrize(
    ("finished", "expected"),
    [
        (0, "0 of 3 blobs (0 B of 3.0 MiB) transferred and kept"),
        (1, "1 of 3 blobs (1.0 MiB of 3.0 MiB) transferred and kept"),
        (2, "2 of 3 blobs (2.0 MiB of 3.0 MiB) transferred and kept"),
    ],
)
def test_verbs_agree_with_the_number_of_blobs(finished: int, expected: str) -> None:
    state = ProgressState(0.0)
    state.add(planned(blobs=3, size=3 * MIB))
    for number in range(finished):
        digest = f"sha256:{number:064}"
        state.add(events.BlobStarted(digest, MIB, "copy"))
        state.add(events.BlobProgressed(digest, MIB))
        state.add(events.BlobFinished(digest))
    assert state.describe_interruption().startswith(f"{expected};")


def test_interruption_reports_finished_and_planned_work() -> None:
    assert create_halfway_state().describe_interruption() == (
        "1 of 2 blobs (10.0 MiB of 40.0 MiB) transferred and kept; no name was published"
    )
    assert ProgressState(0.0).describe_interruption() == "nothing was transferred yet"


def test_interruption_reports_what_the_next_run_continues() -> None:
    """An archive keeps nothing; a layout also keeps the beginning of a blob."""
    totals = TransferTotals(BlobTotal(2, 4 * MIB))
    for keeps_blobs, kept, expected in [
        (False, 0, "transferred, but not kept;"),
        (True, 2 * MIB, "transferred and kept, and 2.0 MiB of unfinished blobs;"),
    ]:
        state = ProgressState(0.0)
        state.add(events.Planned(totals, keeps_blobs=keeps_blobs))
        state.add(events.BlobStarted(FIRST, MIB, "copy"))
        state.add(events.BlobFinished(FIRST))
        state.add(events.BlobStarted(SECOND, 3 * MIB, "copy"))
        state.add(events.BlobFinished(SECOND, failed=True, kept=kept))
        assert state.describe_interruption().startswith(
            f"1 of 2 blobs (1.0 MiB of 4.0 MiB) {expected}"
        )


def test_position_after_the_last_blob_names_the_remaining_work() -> None:
    state = create_halfway_state()
    state.add(events.BlobProgressed(SECOND, 20 * MIB))
    state.sample(8.0)
    assert state.describe_position() == (
        "1 of 2 blobs, 40.0 MiB of 40.0 MiB (100 %), waiting until everything is stored"
    )
    state.add(events.BlobFinished(SECOND))
    state.sample(9.0)
    assert state.describe_position() == (
        "2 of 2 blobs, 40.0 MiB of 40.0 MiB (100 %), waiting for manifests and names"
    )


def test_position_of_a_transfer_excludes_the_verification_before_it() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, LogDisplay(clock.now), clock)
    verified = TransferTotals(checked=BlobTotal(14, 80 * MIB))
    progress.emit(events.Planned(verified, "check"))
    progress.emit(events.Completed(verified))
    progress.emit(planned())
    clock.now += 6
    progress.draw()
    assert "0 of 2 blobs, 0 B of 40.0 MiB" in stream.getvalue()


def test_log_gets_a_line_every_five_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, LogDisplay(clock.now), clock)
    progress.emit(planned())
    for _ in range(110):
        clock.now += 0.1
        progress.draw()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "2 blobs to transfer, 40.0 MiB"
    assert len(lines) == 3
    assert all("0 of 2 blobs" in line for line in lines[1:])


def test_notes_retries_and_warnings_are_written_at_once_and_escaped() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, LogDisplay(clock.now), clock)
    progress.emit(events.Notice("a\x1b[2Jb"))
    progress.emit(events.WarningIssued("odd"))
    progress.emit(events.Retrying("blob", 2.2, "HTTP 503", 1))
    progress.draw()
    assert stream.getvalue() == ("a\\x1b[2Jb\nwarning: odd\nblob: HTTP 503; attempt 2 in 2 s\n")


def test_bars_fit_the_screen_and_are_redrawn_in_place() -> None:
    state = create_halfway_state()
    for number in range(20):
        state.add(events.BlobStarted(f"sha256:{number:064}", MIB, "copy"))
    bars = BarDisplay(lambda: os.terminal_size((40, 10)))
    first, second = bars.draw(state, [], 1.0), bars.draw(state, ["look"], 2.0)
    shown = [re.sub(r"\x1b\[[0-9]*[KJF]", "", line) for line in first.splitlines()]
    assert len([line for line in shown if line]) == 8
    assert max(map(len, shown)) < 40
    assert any(line.startswith("and 15 more") for line in shown)
    assert second.startswith("\x1b[8Flook\x1b[K\n")


def test_last_lines_replace_the_bars() -> None:
    bars = BarDisplay(lambda: os.terminal_size((80, 24)))
    bars.draw(create_halfway_state(), [], 1.0)
    assert bars.finish(["done"]) == "\x1b[2F\x1b[Jdone\n"
    assert bars.finish(["more"]) == "more\n"


def test_events_from_many_threads_are_all_counted() -> None:
    progress = Progress(io.StringIO(), LogDisplay(0.0))
    with progress:
        threads = [
            threading.Thread(
                target=lambda: [progress.emit(events.BlobProgressed(FIRST, 1)) for _ in range(1000)]
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert progress._state.moved == 8000


def test_quiet_command_has_no_display() -> None:
    assert NativeFrontend(Environment({}, 0)).show_progress(quiet=True) is None


def test_closed_stream_does_not_end_the_run() -> None:
    stream = io.StringIO()
    with Progress(stream, LogDisplay(0.0)) as progress:
        stream.close()
        progress.emit(planned())


_ON_TERMINAL = """
import os
import time

from bundler import events
from bundler.cli.output.progress import Progress
totals = events.TransferTotals(events.BlobTotal(1, 4))
with Progress.on_stderr(os.environ) as progress:
    progress.emit(events.Planned(totals))
    progress.emit(events.BlobStarted("sha256:" + "a" * 64, 4, "copy"))
    time.sleep(0.35)
    progress.emit(events.BlobProgressed("sha256:" + "a" * 64, 4))
    progress.emit(events.BlobFinished("sha256:" + "a" * 64))
    progress.emit(events.Completed(totals))
"""


def on_terminal(hermetic_environment: dict[str, str], **environment: str) -> str:
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", _ON_TERMINAL],
            stderr=theirs,
            env=hermetic_environment | environment,
            check=True,
            timeout=60,
        )
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_terminal_gets_bars_that_are_erased_at_the_end(
    hermetic_environment: dict[str, str],
) -> None:
    seen = on_terminal(hermetic_environment, TERM="xterm")
    assert "sha256:aaaaaaaaaaaa copy" in seen
    assert seen.count("\x1b[2F") >= 2
    assert re.search(r"\x1b\[J1 blob, 4 B in \S+ s\r\n$", seen)


def test_dumb_terminal_and_ci_get_lines(hermetic_environment: dict[str, str]) -> None:
    for environment in ({"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}, {}):
        assert "\x1b" not in on_terminal(hermetic_environment, **environment)
