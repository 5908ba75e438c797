"""Kernel privileges that a test needs: mounts, namespaces, owners, containers.

A test names its privileges: ``@pytest.mark.kernel("mounts", "network namespaces")``; a marker
without names means all of them. If the kernel or the user's rights do not permit one, as in an
unprivileged container, in a chroot, or for a user other than root, the test is skipped, and listed
at the end of the run. With ``CI=true`` in the environment, it fails. A missing program is never a
reason to skip a test.
"""

from __future__ import annotations

import functools
import os
import stat
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.servers import MissingProgramError, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LEFT_OUT = "left out"  # the property of a report that holds the reason


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("kernel"):
        for right in marker.args or PROBES:
            if denial := denied(right):
                reason = f"{right} ({denial})"
                if os.environ.get("CI") == "true":  # noqa: TID251
                    pytest.fail(f"continuous integration needs {reason}", pytrace=False)
                item.user_properties.append((_LEFT_OUT, reason))
                pytest.skip(f"needs {reason}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """List the skipped tests, after everything except the line of counts."""
    result = yield
    tests = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        for name, reason in report.user_properties:
            if name == _LEFT_OUT:
                tests[reason].append(report.nodeid.split("[")[0])
    if tests:
        count = sum(map(len, tests.values()))
        terminalreporter.section(
            f"left out ({count}): forbidden by the kernel or the rights of the user"
        )
    for reason, names in sorted(tests.items()):
        terminalreporter.write_line(f"{len(names)} need {reason}:")
        for name in sorted(set(names)):
            times = names.count(name)
            terminalreporter.write_line(f"    {name}" + (f" ({times} times)" if times > 1 else ""))
    return result


@functools.cache
def denied(right: str) -> str | None:
    """The reason why a privilege of ``PROBES`` is denied; None if it is granted."""
    return PROBES[right]()


def namespace(*kinds: str) -> tuple[str, ...]:
    """Return a command prefix that runs a command in new namespaces: ``net``, ``mount``, ``user``.

    In a user namespace, the user is root; without other privileges, the other namespaces need one.
    The test needs a marker, because the command fails without the privilege.
    """
    flags = [f"--{kind}" for kind in kinds]
    mapped = (program("unshare"), "--map-root-user", *flags)
    if "user" in kinds:
        return mapped
    as_root = (program("unshare"), *flags)
    return as_root if _problem(*as_root, "true") is None else mapped


def _root() -> str | None:
    return None if os.geteuid() == 0 else f"this is user {os.geteuid()}"


def _change_owner(directory: Path) -> None:
    directory.chmod(0o555)  # as the root of a layer often is
    (directory / "file").touch()
    os.chown(directory / "file", 5, 5)


def _make_device(directory: Path) -> None:
    os.mknod(directory / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))


def _set_trusted_attribute(directory: Path) -> None:
    os.setxattr(directory, "trusted.overlay.tests", b"")


def _open_fuse(directory: Path) -> None:
    os.close(os.open("/dev/fuse", os.O_RDWR))


def _doing(action: Callable[[Path], None]) -> Callable[[], str | None]:
    """Probe an action on an empty directory."""

    def probe() -> str | None:
        with tempfile.TemporaryDirectory() as directory:
            try:
                action(Path(directory))
            except OSError as error:
                return error.strerror
        return None

    return probe


def _namespace(kind: str) -> Callable[[], str | None]:
    return lambda: _problem(*namespace(kind), "true")


def _mounting(script: str, *command: str) -> Callable[[], str | None]:
    """Probe a shell script in a mount namespace, in an empty directory.

    ``command`` creates the namespace; by default, any permitted kind is created.
    """

    def probe() -> str | None:
        with tempfile.TemporaryDirectory() as directory:
            inside = command or namespace("mount")
            return _problem(*inside, "sh", "-euc", script, directory=directory)

    return probe


def _problem(*command: str, directory: str | None = None) -> str | None:
    """The last line of a command's error output; None if it succeeds."""
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        return None
    if ran.returncode == 127:
        raise MissingProgramError(ran.stderr)
    return (ran.stderr.strip() or f"{command[0]}: exit status {ran.returncode}").splitlines()[-1]


_TMPFS = "mkdir disk; mount -t tmpfs none disk"
_LOOP = "truncate -s 4M image; mkfs.ext4 -q image; mkdir disk; mount -o loop image disk"
_PIVOT = "mkdir new; mount -t tmpfs none new; mkdir new/old; pivot_root new new/old"
_OVERLAY = """
mkdir lower upper work merged
[ "$(stat -f -c %T .)" != overlayfs ] || { echo "this is an overlay already" >&2; exit 1; }
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged
"""
_CGROUP = """
cgroup=$(mktemp -d -p /sys/fs/cgroup)
rmdir "$cgroup"
"""

PROBES = {
    "root": _root,
    "owners": _doing(_change_owner),
    "devices": _doing(_make_device),
    "trusted attributes": _doing(_set_trusted_attribute),
    "user namespaces": _namespace("user"),
    "network namespaces": _namespace("net"),
    "mounts": _mounting(_TMPFS),
    "mounts as root": lambda: _root() or _mounting(_TMPFS, program("unshare"), "--mount")(),
    "loop devices": lambda: _root() or _mounting(_LOOP, program("unshare"), "--mount")(),
    "overlay mounts": _mounting(_OVERLAY),
    "fuse": _doing(_open_fuse),
    "containers": _mounting(_CGROUP + _PIVOT),
}
"""The probe of each privilege, which returns the reason why it is denied; None if granted."""
