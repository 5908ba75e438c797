"""What the flags of the whole program say, as one frozen value.

Commands do not take it as a parameter: ``bundler.cli.runtime.context`` turns it into settings, the
platform, the time limit and the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.options import program_flags
from bundler.errors import UsageError

if TYPE_CHECKING:
    import click

_PATHS = {"policy", "registries_conf", "tls_details", "tmpdir"}


@dataclass(frozen=True, slots=True)
class ProgramOptions:
    """What the command line says beside the command; None: not said."""

    quiet: bool = False
    debug: bool = False
    command_timeout: float | None = None
    """In seconds; 0 is as long as it takes."""
    override_arch: str | None = None
    override_os: str | None = None
    override_variant: str | None = None
    policy: Path | None = None
    insecure_policy: bool = False
    require_signed: bool = False
    registries_conf: Path | None = None
    tls_details: Path | None = None
    tmpdir: Path | None = None
    user_agent_prefix: str = ""

    def check(self) -> None:
        """Look for flags that contradict one another.

        Raises:
            UsageError: there are some.
        """
        if self.insecure_policy and self.require_signed:
            raise UsageError("--insecure-policy and --require-signed exclude one another")
        prefix = self.user_agent_prefix
        if prefix and not (prefix.isascii() and prefix.isprintable()):
            raise UsageError("--user-agent-prefix: only printable ASCII can be sent")


def read(context: click.Context) -> ProgramOptions:
    """Return the flags that were parsed so far in ``context`` and its parents."""
    given = program_flags.given(context)
    paths = {name: Path(given[name]) for name in _PATHS & given.keys()}
    return ProgramOptions(**given | paths)
