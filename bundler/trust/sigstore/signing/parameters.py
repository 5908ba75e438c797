"""Reader of signing parameter files (``--sign-by-sigstore``), in YAML.

https://github.com/containers/image/blob/v5.36.2/docs/containers-sigstore-signing-params.yaml.5.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bundler.config import config_file
from bundler.trust.oidc.provider import Client

if TYPE_CHECKING:
    from bundler.oci.json.table import Table

_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
_MEMBERS = ("privateKeyFile", "privateKeyPassphraseFile", "fulcio", "rekorURL")
_FULCIO_MEMBERS = (
    "fulcioURL",
    "oidcMode",
    "oidcIDToken",
    "oidcIssuerURL",
    "oidcClientID",
    "oidcClientSecret",
)


@dataclass(frozen=True, slots=True)
class LoginParameters:
    """A login to an OpenID Connect provider, which issues an identity token."""

    mode: Literal["interactive", "deviceGrant"]
    issuer: str
    client: Client


@dataclass(frozen=True, slots=True)
class FulcioParameters:
    """A certificate authority, and the identity of the user: a token, or a login."""

    url: str
    identity: str | LoginParameters = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningParameters:
    """The content of a parameter file; exactly one of ``key_file`` and ``fulcio`` is set."""

    key_file: Path | None = None
    passphrase_file: Path | None = None
    fulcio: FulcioParameters | None = None
    rekor_url: str | None = None


def read_parameters(path: Path) -> SigningParameters:
    """Read a parameter file. Relative paths in it are relative to the working directory.

    Raises:
        ConfigError: the file cannot be read, or its content is invalid.
    """
    table = config_file.parse_yaml(config_file.read(path, required=True), str(path))
    table.refuse_unknown(_MEMBERS)
    key_file, passphrase_file = (table.optional_text(name) for name in _MEMBERS[:2])
    if (key_file is None) == ("fulcio" not in table):
        raise table.problem("expected either privateKeyFile or fulcio")
    fulcio = None
    if "fulcio" in table:
        member = table.table("fulcio")
        member.refuse_unknown(_FULCIO_MEMBERS)
        url = _parse_url(member, "fulcioURL")
        match member.text("oidcMode"):
            case "staticToken":
                fulcio = FulcioParameters(url, member.text("oidcIDToken"))
            case "interactive" | "deviceGrant" as mode:
                secret = member.optional_text("oidcClientSecret")
                client = Client(member.text("oidcClientID"), secret)
                login = LoginParameters(mode, _parse_url(member, "oidcIssuerURL"), client)
                fulcio = FulcioParameters(url, login)
            case other:
                raise member.problem(
                    f"unknown oidcMode {other[:40]!r}"
                    " (expected staticToken, interactive or deviceGrant)"
                )
    return SigningParameters(
        None if key_file is None else Path(key_file),
        None if passphrase_file is None else Path(passphrase_file),
        fulcio,
        _parse_url(table, "rekorURL") if "rekorURL" in table else None,
    )


def _parse_url(table: Table, name: str) -> str:
    url = table.text(name)
    if not _URL.fullmatch(url):
        raise table.problem(f"{name} is not an http or https URL")
    return url
