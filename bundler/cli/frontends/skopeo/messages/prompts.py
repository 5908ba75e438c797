"""Prompts for a user name and a password; like Skopeo's, they are written to stdout."""

from __future__ import annotations

import sys

from bundler.errors import UsageError

_PREFIX = "getting username and password: reading"


def ask_username() -> str:
    """Prompt for a user name.

    Raises:
        UsageError: standard input has ended.
    """
    sys.stdout.write("Username: ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise UsageError(f"{_PREFIX} username: EOF")
    return answer.strip()


def ask_password() -> str:
    """Prompt for a password, without echo.

    Raises:
        UsageError: standard input is not a terminal.
    """
    sys.stdout.write("Password: ")
    sys.stdout.flush()
    if not sys.stdin.isatty():
        raise UsageError(f"{_PREFIX} password: inappropriate ioctl for device")
    from getpass import getpass  # noqa: PLC0415 - rarely needed

    return getpass("")
