"""Options and prompts for the credentials of ``login`` and ``logout``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from bundler.cli.options.common import PATH
from bundler.cli.options.option import Decorated, option_group, spec
from bundler.cli.output.text import print_json, print_line
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.config.registry_access import Credentials
    from bundler.images.login import CredentialStore

_MAX_PASSWORD = 64 * 1024  # bytes; longer than any token


def credential_store(function: Decorated) -> Decorated:
    """Add the options that select the credentials file; its value is in ``store``."""

    def select(authfile: Path | None, compat_auth_file: Path | None) -> CredentialStore:
        from bundler.images.login import CredentialStore  # noqa: PLC0415 - not for --help

        if authfile is not None and compat_auth_file is not None:
            raise UsageError("--authfile and --compat-auth-file exclude one another")
        return CredentialStore(authfile or compat_auth_file, compat_auth_file is not None)

    options = {
        "authfile": spec("--authfile", type=PATH, help="Store the credentials in this file."),
        "compat_auth_file": spec(
            "--compat-auth-file",
            type=PATH,
            help="Store the credentials in this file, in the format of Docker's config.json.",
        ),
    }
    return option_group(select, "store", "Credentials", options)(function)


def complete_credentials(
    username: str | None, password: str | None, *, from_stdin: bool
) -> Credentials:
    """Return the credentials of the command line; missing parts are prompted for.

    Raises:
        UsageError: if options exclude one another.
    """
    from bundler.config.registry_access import Credentials  # noqa: PLC0415 - not for --help

    if from_stdin:
        if password is not None:
            raise UsageError("--password and --password-stdin exclude one another")
        if username is None:
            raise UsageError("--password-stdin needs --username")
        password = read_password()
    if username is None:
        username = click.prompt("Username", err=True)
    if password is None:
        password = click.prompt(f"Password of {username}", hide_input=True, err=True)
    return Credentials(username=username, password=password)


def read_password() -> str:
    """Read a password from standard input.

    Raises:
        UsageError: if it is too long.
    """
    raw = sys.stdin.buffer.read(_MAX_PASSWORD + 1)
    if len(raw) > _MAX_PASSWORD:
        raise UsageError(f"the password is longer than {_MAX_PASSWORD:,} bytes")
    return os.fsdecode(raw).rstrip("\r\n")


def print_result(value: dict[str, str | None], text: str, *, as_json: bool) -> None:
    """Print ``value`` as JSON if ``as_json``, else ``text``."""
    if as_json:
        print_json(value)
    else:
        for line in text.splitlines():
            print_line(line)
