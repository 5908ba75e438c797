"""How a bundle manifest or an import target says to reach a registry.

Secrets are named, not written: they are read here, when the file is, and go no further than the
registry's client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.document import At, Fields, Findings, Text, Value
from bundler.bundle.schema import is_true, plain
from bundler.config.settings import ANONYMOUS, Credentials, Limits, RegistryOverride

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MAX_SECRET = 64 << 10


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a file's words are read in the light of."""

    file: str
    """Relative to the bundle manifest's folder, as origins name it."""
    folder: Path
    """Paths are relative to it."""
    environment: Mapping[str, str]
    findings: Findings

    def origin(self, at: At) -> str:
        """``file:line``, as a bundle records what asked for an image."""
        return f"{self.file}:{at.line}"

    def path(self, value: Value | None) -> Path | None:
        """The existing file or folder that ``value`` names; None where it is not said."""
        if not isinstance(value, Text) or not value:
            return None
        home = self.environment.get("HOME")
        path = self.folder / (home + value[1:] if value.startswith("~/") and home else value)
        try:
            path.stat()
        except (OSError, ValueError):
            self.findings.add(value.at, f"{path}: no such file")
        return path

    def variable(self, value: Value | None) -> str | None:
        """What the environment variable that ``value`` names holds."""
        if not isinstance(value, Text):
            return None
        content = self.environment.get(value)
        if content is None:
            self.findings.add(value.at, f"the environment variable {value[:80]} is not set")
        return content

    def content(self, value: Value | None) -> str | None:
        """What the file that ``value`` names holds, without the newline at its end."""
        path = self.path(value)
        if path is None or not isinstance(value, Text) or not path.exists():
            return None
        try:
            with path.open("rb") as stream:
                data = stream.read(_MAX_SECRET + 1)
            text = data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            self.findings.add(value.at, f"{path}: not UTF-8 text")
        except OSError as error:
            self.findings.add(value.at, f"{path}: cannot be read: {error.strerror}")
        else:
            if text and len(data) <= _MAX_SECRET and "\n" not in text:
                return text
            self.findings.add(value.at, f"{path}: expected one line of text")
        return None


def read_override(value: Value | None, around: Surroundings) -> RegistryOverride:
    """What ``tls``, ``credentials`` and ``limits`` of ``value`` say; mistakes become findings."""
    tls, secrets, limits = (plain(value, key) for key in ("tls", "credentials", "limits"))
    ca_file = around.path(plain(tls, "caFile"))
    return RegistryOverride(
        credentials=_credentials(secrets, around),
        authfile=around.path(plain(secrets, "authfile")),
        tls_verify=_switch(tls, "verify"),
        plain_http=_switch(tls, "plainHttp"),
        ca_files=() if ca_file is None else (ca_file,),
        client_certificate=around.path(plain(tls, "clientCert")),
        client_key=around.path(plain(tls, "clientKey")),
        cert_dir=around.path(plain(tls, "certDir")),
        limits=_limits(limits),
    )


def _credentials(value: Value | None, around: Surroundings) -> Credentials | None:
    if not isinstance(value, Fields):
        return None
    users = [key for key in ("usernameEnv", "usernameFile") if key in value]
    words = [key for key in ("passwordEnv", "passwordFile") if key in value]
    ways = [bool(users or words), "authfile" in value, is_true(value.get("anonymous"))]
    if sum(ways) > 1 or len(users) > 1 or len(words) > 1 or len(users) != len(words):
        around.findings.add(
            value.at,
            "`credentials`: expected one of usernameEnv and usernameFile with one of passwordEnv"
            " and passwordFile, or authfile alone, or anonymous alone",
        )
        return None
    if ways[2]:
        return ANONYMOUS
    if not users:
        return None
    username = around.variable(value.get("usernameEnv")) or around.content(
        value.get("usernameFile")
    )
    password = around.variable(value.get("passwordEnv")) or around.content(
        value.get("passwordFile")
    )
    return Credentials(username=username, password=password)


def _switch(value: Value | None, key: str) -> bool | None:
    said = plain(value, key)
    return None if said is None else is_true(said)


def _limits(value: Value | None) -> Limits | None:
    if not isinstance(value, Fields):
        return None
    parallel, rate = plain(value, "parallel"), plain(value, "requestsPerSecond")
    try:
        return Limits(
            parallel=int(parallel) if isinstance(parallel, Text) else None,
            requests_per_second=float(rate) if isinstance(rate, Text) else None,
        )
    except ValueError:  # the schema has found it already
        return None
