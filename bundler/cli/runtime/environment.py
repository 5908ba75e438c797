"""The environment variables, home directory and user of the process.

No other module reads them; they are passed as an ``Environment``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMPLETION_VARIABLE = "_AIRBUNDLE_COMPLETE"
"""The variable with the instruction of a shell's completion script."""


class Environment(NamedTuple):
    """The environment variables and the user of the process."""

    variables: Mapping[str, str]
    uid: int

    @property
    def home(self) -> Path:
        """The user's home directory; raises ConfigError if it is unknown."""
        from pathlib import Path  # noqa: PLC0415 - not for --help

        try:
            return Path.home()  # noqa: TID251 - read here for all other modules
        except RuntimeError:
            from bundler.errors import ConfigError  # noqa: PLC0415 - only for errors

            raise ConfigError("unknown home directory", hint="set HOME") from None

    def describe_operator(self) -> dict[str, str]:
        """Return the name of the user, or the user ID, and who became root with sudo.

        Any user but root could set the variable of sudo, so it counts for root only.
        """
        import pwd  # noqa: PLC0415 - not for --help

        try:
            user = pwd.getpwuid(self.uid).pw_name
        except KeyError:
            user = str(self.uid)
        sudo = self.variables.get("SUDO_USER", "")[:256] if self.uid == 0 else ""
        return {"user": user} | ({"sudo": sudo} if sudo else {})

    def list_trust_files(self) -> tuple[Path, ...]:
        """Return the candidates for the trust file of the site: the user's, then the system's."""
        from bundler.config.paths import locate_trust_files  # noqa: PLC0415 - not for --help
        from bundler.errors import ConfigError  # noqa: PLC0415 - as above

        try:
            home = self.home
        except ConfigError:
            home = None
        return locate_trust_files(self.variables, home)

    def find_trust_file(self) -> Path | None:
        """Return the trust file of the site; None if there is none."""
        return next((path for path in self.list_trust_files() if path.is_file()), None)

    def find_path(self, name: str) -> Path | None:
        """Return the path in the variable ``name``; None if unset or empty."""
        from pathlib import Path  # noqa: PLC0415 - not for --help

        text = self.variables.get(name)
        return Path(text) if text else None


def read_environment() -> Environment:
    """Return the environment of this process."""
    return Environment(os.environ, os.getuid())  # noqa: TID251 - read here for all other modules
