"""Interrupt each operation at every system call that changes files."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from scripts.torturing import command
from scripts.torturing.operations import Operation, operations
from scripts.torturing.row import Result, Torture, Violations
from scripts.torturing.site import Site, find_unfinished_files
from scripts.torturing.system_calls import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator


def kills(torture: Torture, count: int) -> Iterator[Result]:
    """Kill at every call: the state is the former, the new, or plainly unfinished."""
    yield from _interrupt(torture, count, "kills", None)


def errors(torture: Torture, count: int) -> Iterator[Result]:
    """Let every call fail once, syncs included: as with kills, and no success is reported."""
    yield from _interrupt(torture, count, "errors", errno.EIO)


def _interrupt(torture: Torture, count: int, row: str, error: int | None) -> Iterator[Result]:
    with torture.directory() as directory:
        site = Site(directory)
        for operation in operations(site):
            violations = Violations(f"{row}: {operation.name}")
            operation.prepare()
            whole = command.run_announced(directory, *operation.words, fault=Fault(1 << 30, error))
            assert whole.calls is not None
            step = max(1, whole.calls.number // count) if count else 1
            number = 0
            for at in range(0, whole.calls.number + step, step):
                case = _interrupt_once(site, operation, Fault(at, error), violations)
                if case is None:
                    break
                number += 1
            yield violations.result(f"{number} of {whole.calls.number} calls")


def _interrupt_once(
    site: Site, operation: Operation, fault: Fault, violations: Violations
) -> str | None:
    """Interrupt and run again; return the name of the call, None if the command ended before."""
    operation.prepare()
    ended = command.run_announced(site.path, *operation.words, fault=fault)
    assert ended.calls is not None
    if not ended.calls.fault_at:
        return None
    case = f"call {fault.at} ({ended.calls.fault_at})"
    violations.check(operation.check(), case)
    if ended.status == 0:  # a call of the clean-up, or of a method that has another
        violations.check(operation.complete(), f"{case} with success")
    if "Traceback" in ended.output:
        violations.check(str(ended), case)
    again = command.run_announced(site.path, *operation.words)
    if again.status != 0:
        violations.check(str(again), f"{case} again")
    else:
        violations.check(operation.complete(), f"{case} again")
        violations.check(find_unfinished_files(*operation.written), f"{case} again")
    return ended.calls.fault_at
