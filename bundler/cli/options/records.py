"""Options for the records of a site, and for overriding the checks of an import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.cli.options.common import PATH
from bundler.cli.options.option import (
    OWN_SECTION,
    Decorated,
    option,
    option_group,
    parse_day,
    parse_first_moment,
    spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.records.admission import Overrides
    from bundler.bundle.records.site import Records
    from bundler.cli.runtime.environment import Environment

SECTION = "Records"
MAX_REASON = 1000

directory = option(
    "--records",
    "records_path",
    type=PATH,
    metavar="DIRECTORY",
    section=SECTION,
    help="Directory of the site's records (default: airbundle in the state directory).",
)
"""``--records``, in the parameter ``records_path``; None if unset."""

audit_directory = option(
    "--records",
    "records_path",
    type=PATH,
    metavar="DIRECTORY",
    section=SECTION,
    help="Keep the evidence and the verdict of the audit in the site's records (default: nowhere).",
)
"""``--records`` of an audit, in the parameter ``records_path``; None: nothing is recorded."""
keep_packages = option(
    "--keep-packages",
    is_flag=True,
    section=SECTION,
    help="Read the layers before the first push, and keep the lists of their packages.",
)
"""``--keep-packages`` of an import, in the parameter ``keep_packages``."""


def reason(effect: str) -> Callable[[Decorated], Decorated]:
    """``--reason``, in the parameter ``reason``; None if unset."""
    return option("--reason", metavar="TEXT", section=SECTION, help=effect)


@dataclass(frozen=True, slots=True)
class OverrideOptions:
    """Checks of an import that the user overrides."""

    adopt: bool
    allow_unsigned: bool
    allow_expired: bool
    allow_rollback: bool
    allow_future: bool
    reason: str | None

    def create_overrides(
        self, *, signers: Literal["--key", "--trust"] | None, policy: bool
    ) -> Overrides:
        """Return the overrides.

        Args:
            signers: the option that replaces the trust file of the site; None: none.
            policy: the policy.json of the site is ignored.

        Raises:
            UsageError: a check is overridden without a reason, or the reason is not one line.
        """
        from bundler.bundle.records.admission import Overrides  # noqa: PLC0415 - not for --help
        from bundler.errors import UsageError  # noqa: PLC0415 - as above

        given = {
            "--key": signers == "--key",
            "--trust": signers == "--trust",
            "--insecure-policy": policy,
            "--allow-unsigned": self.allow_unsigned,
            "--allow-expired": self.allow_expired,
            "--allow-rollback": self.allow_rollback,
            "--allow-future": self.allow_future,
        }
        for spelling in (name for name, value in given.items() if value):
            if self.reason is None:
                problem = "no reason given"
                if spelling == signers:
                    problem = "overrides the trust file of the site, and no reason is given"
                raise UsageError(
                    f"{spelling}: {problem}",
                    hint="add --reason TEXT; the receipt and the log of the site will contain it"
                    + (f"; or leave {signers} out" if spelling == signers else ""),
                )
        return Overrides(
            signers=signers,
            policy=policy,
            unsigned=self.allow_unsigned,
            expired=self.allow_expired,
            rollback=self.allow_rollback,
            future=self.allow_future,
            adopt=self.adopt,
            reason=None if self.reason is None else check_reason(self.reason),
        )


overrides = option_group(
    OverrideOptions,
    "overrides",
    SECTION,
    {
        "adopt": spec(
            "--adopt",
            is_flag=True,
            help="Import a stream that this site has not imported before.",
        ),
        "allow_unsigned": spec(
            "--allow-unsigned",
            is_flag=True,
            help="Import the bundle even if it is not signed as required. Needs --reason.",
        ),
        "allow_expired": spec(
            "--allow-expired",
            is_flag=True,
            help="Import the bundle even if it has expired. Needs --reason.",
        ),
        "allow_rollback": spec(
            "--allow-rollback",
            is_flag=True,
            help="Import the bundle even if a newer one was imported. Needs --reason.",
        ),
        "allow_future": spec(
            "--allow-future",
            is_flag=True,
            help="Import the bundle even if it is far ahead of the clock. Needs --reason.",
        ),
        "reason": spec(
            "--reason",
            metavar="TEXT",
            help="The reason for --allow-…, for --key or another --trust at a site with a trust"
            " file, or for --insecure-policy; the receipt and the log contain it.",
        ),
    },
)
"""The options of ``import`` that override a check; their values are in ``overrides``."""


def check_reason(text: str) -> str:
    """Return a reason that is one printable line.

    Raises:
        UsageError: it is empty, too long, or contains control characters.
    """
    from bundler.errors import UsageError  # noqa: PLC0415 - only where a reason is given

    if not text.strip() or len(text) > MAX_REASON or not text.isprintable():
        raise UsageError(f"--reason: expected one line of 1 to {MAX_REASON:,} characters")
    return text


@dataclass(frozen=True, slots=True)
class Period:
    """A range of time, whose limits belong to it; None: no limit."""

    since: datetime | None
    until: datetime | None


period = option_group(
    Period,
    "period",
    OWN_SECTION,
    {
        "since": spec(
            "--since",
            type=parse_first_moment,
            metavar="DATE",
            help="Only entries from this day on (UTC), for example 2026-11-01.",
        ),
        "until": spec(
            "--until",
            type=parse_day,
            metavar="DATE",
            help="Only entries up to the end of this day (UTC).",
        ),
    },
)
"""``--since`` and ``--until``; their values are in ``period``."""


def read_existing(path: Path | None, environment: Environment) -> Records:
    """Read the records in ``path``, or those in the default directory if it is None.

    Raises:
        NotFoundError: there are none.
        LostRecordsError, MediumError: they are damaged, or cannot be read.
    """
    import os  # noqa: PLC0415 - not for --help

    from bundler.bundle.records import site  # noqa: PLC0415 - as above
    from bundler.errors import NotFoundError  # noqa: PLC0415 - as above

    found = find_records(path, environment)
    if not os.path.lexists(found):
        raise NotFoundError(
            f"{found}: no records of imports",
            hint="specify the directory with --records DIRECTORY; the first import creates it",
        )
    return site.read(found)


def find_records(path: Path | None, environment: Environment) -> Path:
    """Return ``path``, or the default directory of the records if it is None.

    Raises:
        ConfigError: the home directory is unknown.
    """
    if path is not None:
        return path
    from bundler.config.paths import locate_records  # noqa: PLC0415 - not for --help

    system, user = locate_records(environment.variables, environment.home, environment.uid)
    return system if system is not None and system.is_dir() else user
