"""Drafts of trust files, and the options of the commands that change them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options.option import option
from bundler.errors import ConflictError, TrustFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.trust.trust_files.trust_file import Role, RoleKeys, TrustFile

_DAY = "%Y-%m-%d"


class _Moment(click.DateTime):
    """A time in UTC, or a date, which means the start or the end of that day."""

    def __init__(self, *, end: bool) -> None:
        super().__init__([_DAY, f"{_DAY}T%H:%M:%SZ"])
        self._end = end

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time in UTC; the end of a day is its last second."""
        moment = super().convert(value, param, ctx).replace(tzinfo=UTC)
        is_day = isinstance(value, str) and len(value) == len("2027-12-25")
        return moment.replace(hour=23, minute=59, second=59) if is_day and self._end else moment


START, END = _Moment(end=False), _Moment(end=True)
"""The types of options for the start and the end of a validity."""

thresholds = option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="ROLE=K",
    help="Require signatures by K different keys for this role, such as trust=2. May be repeated.",
)
"""``--threshold``, in the parameter ``thresholds``."""

expires = option(
    "--expires",
    type=END,
    metavar="DATE",
    help="The end of the validity of the trust file: a time in UTC, or the end of a day.",
)
"""``--expires``, in the parameter ``expires``; None if unset."""


def read(path: Path) -> TrustFile | None:
    """Read a draft; None if it does not exist.

    Raises:
        ConflictError: it is signed, so it must not be changed.
        ConfigError: it cannot be read, or is not valid.
    """
    if not path.exists():
        return None
    from bundler.trust.trust_files import trust_store  # noqa: PLC0415 - loads cryptography

    if trust_store.read_document(path).signatures:
        raise ConflictError(
            f"{path}: is signed, and would no longer match its signatures",
            path=str(path),
            hint="remove the signatures, or create the next version with airbundle trust rotate",
        )
    return trust_store.load(path, installed=False).content


def write(path: Path, content: TrustFile, *, as_json: bool) -> None:
    """Check and write a draft, and print it.

    Raises:
        UsageError: it is not valid.
        MediumError: it cannot be written.
    """
    from bundler.cli.commands.trust.show import print_store  # noqa: PLC0415 - not for --help
    from bundler.content.files import atomic_write  # noqa: PLC0415 - as above
    from bundler.trust.trust_files import trust_file, trust_store  # noqa: PLC0415 - loads cryptography

    raw = content.to_bytes()
    try:
        parsed = trust_file.parse(raw, str(path))
    except TrustFileError as error:
        raise UsageError(
            error.message,
            hint="a draft needs a key with the role trust, and no role may require more signatures"
            " than it has keys",
        ) from None
    atomic_write.write_bytes(path, raw)
    print_store(trust_store.TrustStore(path, raw, parsed), as_json=as_json)


def apply_thresholds(roles: Mapping[Role, RoleKeys], given: Sequence[str]) -> dict[Role, RoleKeys]:
    """Return ``roles`` with the thresholds of ``--threshold``.

    Raises:
        UsageError: one is malformed, or the role has no key.
    """
    changed = dict(roles)
    for item in given:
        name, separator, number = item.partition("=")
        role = cast("Role", name)
        if not separator or role not in changed or not number.isdecimal() or len(number) > 3:
            raise UsageError(
                f"--threshold: invalid value {item[:80]!r} (expected a role of the draft, =, and a"
                " number)"
            )
        changed[role] = replace(changed[role], threshold=int(number))
    return changed
