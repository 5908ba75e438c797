"""Progress: what the events add up to, and how it looks on a terminal and in a log."""

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
from bundler.cli.output.progress import BarDisplay, LogDisplay, Progress
from bundler.cli.output.progress_state import ProgressState

MIB = 1024 * 1024
FIRST = "sha256:" + "a" * 64
SECOND = "sha256:" + "b" * 64


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def planned(**changes: int) -> events.Planned:
    sizes = {"blobs": 2, "size": 40 * MIB, "present_blobs": 0, "present_size": 0}
    return events.Planned(**sizes | changes)


def halfway() -> ProgressState:
    tally = ProgressState(0.0)
    tally.add(planned())
    tally.add(events.BlobStarted(FIRST, 10 * MIB, "copy"))
    tally.add(events.BlobStarted(SECOND, 30 * MIB, "copy"))
    tally.add(events.BlobProgressed(FIRST, 10 * MIB))
    tally.add(events.BlobProgressed(SECOND, 10 * MIB))
    tally.add(events.BlobFinished(FIRST))
    return tally


def test_the_position_holds_bytes_rate_and_time_left() -> None:
    tally = halfway()
    tally.sample(2.0)
    assert (
        tally.describe_position()
        == "1 of 2 blobs, 20.0 MiB of 40.0 MiB (50 %), 10.0 MiB/s, 2 s left"
    )


def test_the_rate_is_that_of_the_last_seconds() -> None:
    tally = halfway()
    tally.sample(1.0)
    tally.sample(30.0)
    tally.add(events.BlobProgressed(SECOND, 5 * MIB))
    tally.sample(35.0)
    assert tally.rate == MIB


def test_a_stalled_run_has_no_time_left() -> None:
    tally = halfway()
    tally.sample(1.0)
    tally.sample(50.0)
    tally.sample(61.0)
    assert tally.describe_position().endswith("0 B/s")


def test_what_is_hashed_in_place_belongs_to_the_total() -> None:
    tally = ProgressState(0.0)
    tally.add(planned(blobs=0, size=0, present_blobs=2, present_size=8 * MIB))
    assert tally.total == 0
    tally.add(events.BlobStarted(FIRST, 4 * MIB, "check"))
    tally.add(events.BlobProgressed(FIRST, 4 * MIB))
    tally.add(events.BlobFinished(FIRST))
    assert (tally.percent, tally.finished, tally.blobs) == (50, 1, 2)


def test_a_verification_checks_and_moves_nothing() -> None:
    tally = ProgressState(0.0)
    tally.add(events.Planned(2, 8 * MIB, 0, 0, "check"))
    assert tally.describe_plan() == "2 files to check, 8.0 MiB"
    tally.add(events.BlobStarted(FIRST, 4 * MIB, "check"))
    tally.add(events.BlobFinished(FIRST))
    assert tally.describe_interruption() == "1 of 2 files (4.0 MiB of 8.0 MiB) was checked"


def test_what_was_told_of_a_failed_attempt_is_taken_back() -> None:
    tally = halfway()
    tally.add(events.BlobProgressed(SECOND, -10 * MIB))
    assert tally.moved == 10 * MIB
    assert tally.moving[SECOND].done == 0


def test_a_blob_may_go_to_two_places_at_once() -> None:
    tally = ProgressState(0.0)
    for _ in range(2):
        tally.add(events.BlobStarted(FIRST, MIB, "copy"))
    tally.add(events.BlobFinished(FIRST))
    assert tally.moving[FIRST].size == MIB
    tally.add(events.BlobFinished(FIRST))
    assert not tally.moving
    assert tally.finished == 2


@pytest.mark.parametrize(
    ("published", "said"),
    [(0, "no name was published"), (1, "1 name was published"), (2, "2 names were published")],
)
def test_verbs_agree_with_the_number_of_names(published: int, said: str) -> None:
    tally = halfway()
    for number in range(published):
        tally.add(events.ImagePublished(f"app:{number}", FIRST))
    assert tally.describe_interruption().endswith(f"; {said}")


@pytest.mark.parametrize(
    ("finished", "said"),
    [
        (0, "0 of 3 blobs (0 B of 3.0 MiB) are done and stay"),
        (1, "1 of 3 blobs (1.0 MiB of 3.0 MiB) is done and stays"),
        (2, "2 of 3 blobs (2.0 MiB of 3.0 MiB) are done and stay"),
    ],
)
def test_verbs_agree_with_the_number_of_blobs(finished: int, said: str) -> None:
    tally = ProgressState(0.0)
    tally.add(planned(blobs=3, size=3 * MIB))
    for number in range(finished):
        digest = f"sha256:{number:064}"
        tally.add(events.BlobStarted(digest, MIB, "copy"))
        tally.add(events.BlobProgressed(digest, MIB))
        tally.add(events.BlobFinished(digest))
    assert tally.describe_interruption().startswith(f"{said};")


def test_an_interrupted_run_says_what_is_done_and_what_is_not() -> None:
    assert halfway().describe_interruption() == (
        "1 of 2 blobs (10.0 MiB of 40.0 MiB) is done and stays; no name was published"
    )
    assert ProgressState(0.0).describe_interruption() == "nothing was moved yet"


def test_a_log_gets_a_line_every_five_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, LogDisplay(clock.now), clock)
    progress.emit(planned())
    for _ in range(110):
        clock.now += 0.1
        progress.draw()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "2 blobs to move, 40.0 MiB"
    assert len(lines) == 3
    assert all("0 of 2 blobs" in line for line in lines[1:])


def test_notes_retries_and_warnings_are_told_at_once_and_made_harmless() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, LogDisplay(clock.now), clock)
    progress.emit(events.Notice("a\x1b[2Jb"))
    progress.emit(events.WarningIssued("odd"))
    progress.emit(events.Retrying("blob", 2.2, "HTTP 503", 1))
    progress.draw()
    assert stream.getvalue() == ("a\\x1b[2Jb\nwarning: odd\nblob: HTTP 503; attempt 2 in 2 s\n")


def test_bars_keep_within_the_screen_and_redraw_in_place() -> None:
    tally = halfway()
    for number in range(20):
        tally.add(events.BlobStarted(f"sha256:{number:064}", MIB, "copy"))
    bars = BarDisplay(lambda: os.terminal_size((40, 10)))
    first, second = bars.draw(tally, [], 1.0), bars.draw(tally, ["look"], 2.0)
    shown = [re.sub(r"\x1b\[[0-9]*[KJF]", "", line) for line in first.splitlines()]
    assert len([line for line in shown if line]) == 8
    assert max(map(len, shown)) < 40
    assert any(line.startswith("and 15 more") for line in shown)
    assert second.startswith("\x1b[8Flook\x1b[K\n")


def test_the_last_lines_take_the_place_of_the_bars() -> None:
    bars = BarDisplay(lambda: os.terminal_size((80, 24)))
    bars.draw(halfway(), [], 1.0)
    assert bars.finish(["done"]) == "\x1b[2F\x1b[Jdone\n"
    assert bars.finish(["more"]) == "more\n"


def test_events_from_many_threads_all_count() -> None:
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


def test_a_quiet_run_writes_nothing() -> None:
    stream = io.StringIO()
    with Progress(stream, None) as progress:
        progress.emit(planned())
        progress.emit(events.WarningIssued("unheard"))
    progress.show_interruption()
    assert stream.getvalue() == ""


def test_a_stream_that_went_away_does_not_stop_the_work() -> None:
    stream = io.StringIO()
    with Progress(stream, LogDisplay(0.0)) as progress:
        stream.close()
        progress.emit(planned())


_ON_TERMINAL = """
import os
import time

from bundler import events
from bundler.cli.output.progress import Progress
with Progress.on_stderr(os.environ, quiet=False) as progress:
    progress.emit(events.Planned(1, 4, 0, 0))
    progress.emit(events.BlobStarted("sha256:" + "a" * 64, 4, "copy"))
    time.sleep(0.35)
    progress.emit(events.BlobProgressed("sha256:" + "a" * 64, 4))
    progress.emit(events.BlobFinished("sha256:" + "a" * 64))
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


def test_a_terminal_gets_bars_that_are_gone_at_the_end(
    hermetic_environment: dict[str, str],
) -> None:
    seen = on_terminal(hermetic_environment, TERM="xterm")
    assert "sha256:aaaaaaaaaaaa copy" in seen
    assert seen.count("\x1b[2F") >= 2
    assert re.search(r"\x1b\[J1 blob, 4 B in \S+ s\r\n$", seen)


def test_a_dumb_terminal_and_ci_get_lines(hermetic_environment: dict[str, str]) -> None:
    for environment in ({"TERM": "dumb"}, {"TERM": "xterm", "CI": "true"}, {}):
        assert "\x1b" not in on_terminal(hermetic_environment, **environment)
