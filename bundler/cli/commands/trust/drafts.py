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

    from bundler.trust.trust_file import Role, RoleKeys, TrustFile

DATE = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])

thresholds = option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="ROLE=K",
    help="Require signatures by K different keys for this role, such as trust=2. May be repeated.",
)
"""``--threshold``, in the parameter ``thresholds``."""

expires = option(
    "--expires", type=DATE, metavar="DATE", help="The end of the validity of the trust file."
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
    from bundler.trust import trust_store  # noqa: PLC0415 - loads cryptography

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
    from bundler.trust import trust_file, trust_store  # noqa: PLC0415 - loads cryptography

    raw = replace(content, expires=utc(content.expires)).to_bytes()
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


def utc(moment: datetime | None) -> datetime | None:
    """Return the time of an option in UTC; None if it is None."""
    return None if moment is None else moment.replace(tzinfo=UTC)


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
