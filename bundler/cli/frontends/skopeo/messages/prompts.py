"""Ask for a user's name and password as Skopeo does: on stdout."""

from __future__ import annotations

import sys

from bundler.errors import UsageError

_FRONT = "getting username and password: reading"


def ask_username() -> str:
    """Ask for a user's name.

    Raises:
        UsageError: standard input has ended.
    """
    sys.stdout.write("Username: ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise UsageError(f"{_FRONT} username: EOF")
    return answer.strip()


def ask_password() -> str:
    """Ask for a password, without showing the answer.

    Raises:
        UsageError: standard input is not a terminal.
    """
    sys.stdout.write("Password: ")
    sys.stdout.flush()
    if not sys.stdin.isatty():
        raise UsageError(f"{_FRONT} password: inappropriate ioctl for device")
    from getpass import getpass  # noqa: PLC0415 - seldom needed

    return getpass("")
