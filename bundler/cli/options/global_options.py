"""What the flags of the whole program say, as one frozen value.

Commands do not take it as a parameter: ``bundler.cli.runtime.context`` turns it into settings, the
platform, the time limit and the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler import __version__
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
    policy_must_exist: bool = False
    """Whether a missing policy.json is an error rather than no policy."""
    registries_conf: Path | None = None
    tls_details: Path | None = None
    tmpdir: Path | None = None
    user_agent_prefix: str = ""
    user_agent: str | None = None
    """What to call the program before registries, in place of its name and version."""
    ignore_unused_options: bool = False
    """Whether options that concern no registry are ignored rather than refused."""

    @property
    def full_user_agent(self) -> str | None:
        """What to call the program before registries; None: as it calls itself."""
        if not self.user_agent_prefix:
            return self.user_agent
        return f"{self.user_agent_prefix} {self.user_agent or f'airbundle/{__version__}'}"

    def check(self) -> None:
        """Look for flags that contradict one another.

        Raises:
            UsageError: there are some.
        """
        if self.insecure_policy and self.require_signed:
            raise UsageError("--insecure-policy and --require-signed exclude one another")
        for text in (self.user_agent_prefix, self.user_agent or ""):
            if not (text.isascii() and (text.isprintable() or not text)):
                raise UsageError("--user-agent-prefix: only printable ASCII can be sent")


def said(context: click.Context | None = None) -> ProgramOptions:
    """What was said so far in the run of ``context``, or of this thread's command."""
    given = program_flags.given(context)
    paths = {name: Path(given[name]) for name in _PATHS & given.keys()}
    return ProgramOptions(**given | paths)
