"""Reader of ``trustpolicy.json``: who may sign the images of which repositories.

Because trust depends on the file, unknown members are refused. The level of a statement does not
weaken the verification: ``verify`` always enforces everything that needs no network.

https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, Literal

from bundler.config import config_file
from bundler.errors import InvalidReferenceError, TrustError
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference
from bundler.trust.notation.identity import SUBJECT, Identity, is_part_of, parse_identity

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.oci.json.table import Table

StoreType = Literal["ca", "signingAuthority", "tsa"]
Level = Literal["strict", "permissive", "audit", "skip"]
TimestampUse = Literal["always", "afterCertExpiry"]

_STORE = re.compile(r"(ca|signingAuthority|tsa):([A-Za-z0-9_.-]+)")
_LEVELS: tuple[Level, ...] = ("strict", "permissive", "audit", "skip")
_USES: tuple[TimestampUse, ...] = ("always", "afterCertExpiry")
_MAX_STATEMENTS = 1_000
_MAX_IDENTITIES = 100


@dataclass(frozen=True, slots=True)
class TrustStatement:
    """A statement of a trust policy."""

    name: str
    scopes: tuple[str, ...]
    """Repositories, or ``*`` for all others."""
    level: Level
    verify_timestamp: TimestampUse
    """When a timestamp is required, if a store of timestamp authorities is trusted."""
    stores: tuple[tuple[StoreType, str], ...] = ()
    identities: tuple[Identity, ...] | None = field(default=(), hash=False)
    """None: every certificate that the trusted authorities issued."""


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The content of a ``trustpolicy.json``."""

    path: str
    digest: Digest
    statements: tuple[TrustStatement, ...]

    def find_statement(self, repository: str) -> TrustStatement:
        """Return the statement for a repository, such as ``registry.example.com/team/app``.

        Raises:
            TrustError: there is none, or it requires no signature.
        """
        for scope in (repository, "*"):
            for statement in self.statements:
                if scope in statement.scopes:
                    if statement.level == "skip":
                        raise TrustError(
                            f"{self.path}: the statement {statement.name!r} requires no signature"
                            f" of {repository}",
                            hint="every image would meet it: set its level to strict",
                        )
                    return statement
        raise TrustError(
            f"{self.path}: no statement has the scope {repository}",
            hint="no image meets it: add the repository to the registryScopes of a statement",
        )


def read_trust_policy(path: Path) -> TrustPolicy:
    """Read a trust policy.

    Raises:
        ConfigError: the file cannot be read, or is not a valid trust policy for images.
    """
    raw = config_file.read(path, required=True)
    table = config_file.parse_json(raw, path)
    table.refuse_unknown(("version", "trustPolicies"))
    table.one_of("version", ("1.0",))
    items = table.tables("trustPolicies", _MAX_STATEMENTS)
    if not items:
        raise table.problem("trustPolicies is missing or empty")
    statements = tuple(_parse_statement(item) for item in items)
    for member, found in (
        ("name", [statement.name for statement in statements]),
        ("registryScopes", [scope for statement in statements for scope in statement.scopes]),
    ):
        for item, number in Counter(found).most_common(1):
            if number > 1:
                raise table.problem(f"{member} {item[:80]!r} occurs twice")
    return TrustPolicy(str(path), Digest.of(raw), statements)


def _parse_statement(table: Table) -> TrustStatement:
    known = ("name", "registryScopes", "signatureVerification", "trustStores", "trustedIdentities")
    table.refuse_unknown(known)
    verification = table.table("signatureVerification")
    verification.refuse_unknown(("level", "override", "verifyTimestamp"))
    verification.text_map("override")  # must be valid, but weakens nothing, as the level
    level = verification.one_of("level", _LEVELS)
    stores: dict[tuple[StoreType, str], None] = {}  # in order, each once
    for text in table.texts("trustStores"):
        match = _STORE.fullmatch(text)
        if match is None or match[2] in {".", ".."}:
            raise table.problem(
                f"trustStores: {text[:80]!r} is not the name of a store (expected"
                " ca:NAME, signingAuthority:NAME or tsa:NAME)"
            )
        for kind in ("ca", "signingAuthority", "tsa"):
            if match[1] == kind:
                stores[kind, match[2]] = None
    statement = TrustStatement(
        name=table.text("name"),
        scopes=_parse_scopes(table),
        level=level,
        verify_timestamp=verification.one_of("verifyTimestamp", _USES, "always"),
        stores=tuple(stores),
        identities=_parse_identities(table),
    )
    is_empty = not statement.stores and statement.identities == ()
    if level == "skip" and not is_empty:
        raise table.problem("trustStores and trustedIdentities are not permitted with level skip")
    if level != "skip" and (not statement.stores or statement.identities == ()):
        raise table.problem(
            "trustStores or trustedIdentities has no member that this program supports"
        )
    return statement


def _parse_scopes(table: Table) -> tuple[str, ...]:
    scopes = table.texts("registryScopes")
    if not scopes or ("*" in scopes and len(scopes) > 1):
        raise table.problem("registryScopes: expected repositories, or only '*'")
    for scope in scopes:
        try:
            is_full = scope == "*" or ImageReference.parse(scope).repository == scope
        except InvalidReferenceError:
            is_full = False
        if not is_full:
            raise table.problem(
                f"registryScopes: {scope[:80]!r} is not a full name (expected HOST/REPOSITORY)"
            )
    return scopes


def _parse_identities(table: Table) -> tuple[Identity, ...] | None:
    """Return the identities; those with another prefix are for plugins and trust nothing here."""
    texts = table.texts("trustedIdentities")
    if "*" in texts:
        if len(texts) > 1:
            raise table.problem("trustedIdentities: '*' must be the only one")
        return None
    if len(texts) > _MAX_IDENTITIES:
        raise table.problem(f"trustedIdentities: expected at most {_MAX_IDENTITIES}")
    found = []
    for text in texts:
        prefix, colon, name = text.partition(":")
        if not colon:
            raise table.problem(f"trustedIdentities: {text[:80]!r} has no prefix {SUBJECT}:")
        if prefix == SUBJECT:
            try:
                found.append(parse_identity(name))
            except ValueError as error:
                raise table.problem(f"trustedIdentities: {text[:80]!r}: {error}") from None
    if any(is_part_of(first, second) for first, second in permutations(found, 2)):
        raise table.problem("trustedIdentities: one identity includes another")
    return tuple(found)
