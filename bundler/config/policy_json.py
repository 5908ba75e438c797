"""Reader of policy.json: the requirements for images, by transport and scope.

The format is that of containers-policy.json(5). Because trust depends on the file, the reader
refuses unknown keys, duplicate keys, miscased keys and contradictory requirements.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, cast, get_args

from bundler.config import config_file
from bundler.errors import BundlerError, ConfigError, InvalidReferenceError, PolicyFileError
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.json.table import Table
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.config.paths import ConfigPaths

KeyType = Literal["GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"]
IdentityType = Literal[
    "matchExact",
    "matchRepoDigestOrExact",
    "matchRepository",
    "exactReference",
    "exactRepository",
    "remapIdentity",
]


@dataclass(frozen=True, slots=True)
class Keys:
    """Alternative public keys or certificates, as file paths or as inline data."""

    paths: tuple[str, ...] = ()
    data: tuple[bytes, ...] = ()


NO_KEYS = Keys()


@dataclass(frozen=True, slots=True)
class SignedIdentity:
    """The image name that a signature must contain.

    By default, it is the reference of the image, or its repository if the reference is a digest.
    """

    type: IdentityType = "matchRepoDigestOrExact"
    name: str = ""
    """The reference or repository of ``exactReference`` and ``exactRepository``."""
    prefix: str = ""
    """For ``remapIdentity``: the prefix of the reference that ``signed_prefix`` replaces."""
    signed_prefix: str = ""


OWN_NAME = SignedIdentity()


@dataclass(frozen=True, slots=True)
class InsecureAcceptAnything:
    """Requirement that accepts every image."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Requirement that rejects every image."""


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Requirement of a simple signature by one of the keys."""

    key_type: KeyType
    keys: Keys
    identity: SignedIdentity = OWN_NAME


@dataclass(frozen=True, slots=True)
class Fulcio:
    """A certificate that Fulcio issued to a user of an OIDC provider."""

    authority: Keys
    oidc_issuer: str
    subject_email: str


@dataclass(frozen=True, slots=True)
class Pki:
    """A certificate of a private authority for a host name or an email address."""

    roots: Keys
    intermediates: Keys = NO_KEYS
    subject_hostname: str = ""
    subject_email: str = ""


@dataclass(frozen=True, slots=True)
class SigstoreSigned:
    """Requirement of a sigstore signature by ``signer`` and a log entry signed by ``rekor``."""

    signer: Keys | Fulcio | Pki
    rekor: Keys = NO_KEYS
    identity: SignedIdentity = OWN_NAME


Requirement = InsecureAcceptAnything | Reject | SignedBy | SigstoreSigned
Requirements = tuple[Requirement, ...]
"""One or more requirements, all of which an image must satisfy."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Content of one policy.json."""

    origin: str
    """The path of the file, for messages."""
    default: Requirements
    transports: Mapping[str, Mapping[str, Requirements]] = field(default_factory=dict, hash=False)
    """Requirements by transport name (without a colon), then by scope; ``""`` covers all other
    images.
    """
    digest: Digest | None = field(default=None, compare=False)
    """The SHA-256 of the file."""

    @property
    def accepts_everything(self) -> bool:
        """Whether no requirement of any image can fail."""
        scopes = (item for found in self.transports.values() for item in found.values())
        return all(
            isinstance(requirement, InsecureAcceptAnything)
            for requirements in (self.default, *scopes)
            for requirement in requirements
        )


def load(paths: ConfigPaths) -> Policy | None:
    """Read the first policy.json that exists; return None if there is no such file.

    Raises:
        PolicyFileError: the file is unreadable or invalid, or was specified and does not exist.
    """
    for path in paths.policy_json:
        if (found := read(path, required=paths.policy_json_required)) is not None:
            return found
    return None


def read(path: Path, *, required: bool = False) -> Policy | None:
    """Read the policy in ``path``; None if the file does not exist and is not ``required``.

    Raises:
        PolicyFileError: the file cannot be read, is invalid, or is required and does not exist.
    """
    try:
        raw = config_file.read(path, required=required)
    except ConfigError as error:
        raise PolicyFileError(error.message, path=error.path, os_error=error.os_error) from None
    return None if raw is None else parse(raw, str(path))


def parse(raw: bytes, origin: str) -> Policy:
    """Parse a policy; ``origin`` is the subject of error messages.

    Raises:
        PolicyFileError: the policy is invalid; the message names the part of the file.
    """
    create_error = partial(PolicyFileError, path=origin)
    try:
        value = strict.loads(raw, subject=origin, limit=config_file.MAX_SIZE)
    except BundlerError as error:
        raise create_error(error.message) from None
    document = Table.of(value, origin, error=create_error)
    document.refuse_unknown(("default", "transports"))
    context = replace(document, subject=f"{origin}: default")
    default = _parse_requirements(document.value.get("default"), context)
    transports: dict[str, dict[str, Requirements]] = {}
    for transport, scopes in document.table("transports").value.items():
        table = Table.of(scopes, f"{origin}: {transport}", error=create_error)
        transports[transport] = {}
        for scope, requirements in table.value.items():
            expected = _find_expected_scope(transport, scope) if scope else None
            if expected is not None:
                raise table.problem(f"{scope[:200]!r}: invalid scope (expected {expected})")
            context = replace(table, subject=f"{table.subject}: {scope!r}")
            transports[transport][scope] = _parse_requirements(requirements, context)
    return Policy(origin, default, transports, Digest.of(raw))


_PATH_TRANSPORTS = frozenset({"dir", "oci", "oci-archive", "sif"})
"""The transports whose scopes are paths."""
_UNSCOPED_TRANSPORTS = frozenset({"docker-archive", "tarball"})
_STREAM_SCOPE = re.compile(r"[^/]*(/[^:/]*(/[^:/]*(:[^:/]*)?)?)?")
"""``HOST[/NAMESPACE[/STREAM[:TAG]]]``, the scopes of ``atomic:``."""
_DIGEST = r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})"
_STORE_SCOPE = re.compile(
    rf"\[(?:[^\]@]+@)?/[^\]]*\][^@]*(?:@{_DIGEST}(?:@[0-9a-f]{{64}})?|@[0-9a-f]{{64}})?"
)
"""``[[DRIVER@]ROOT]NAME@DIGEST@ID``, the scopes of ``containers-storage:``."""


def _find_expected_scope(transport: str, scope: str) -> str | None:
    """Describe the scopes of a transport if ``scope`` is none of them; None if it is valid."""
    if transport in _UNSCOPED_TRANSPORTS:
        return "an empty scope for this transport"
    if transport in _PATH_TRANSPORTS:
        first, *parts = scope.split("/")
        if first or not parts or any(part in ("", ".", "..") for part in parts):
            return "an absolute path without . and .."
    elif transport == "atomic" and not _STREAM_SCOPE.fullmatch(scope):
        return "HOST[/NAMESPACE[/STREAM[:TAG]]]"
    elif transport == "containers-storage" and not _STORE_SCOPE.fullmatch(scope):
        return "[[DRIVER@]/ROOT][NAME]"
    elif transport == "docker-daemon" and re.fullmatch(_DIGEST, scope):
        return "a name"
    return None


def _parse_requirements(value: object, context: Table) -> Requirements:
    """Parse a list of requirements; ``context`` provides the subject of error messages."""
    if not isinstance(value, list) or not value:
        raise context.problem("expected a non-empty list of requirements")
    requirements: list[Requirement] = []
    for index, item in enumerate(value):
        table = Table.of(item, f"{context.subject}[{index}]", error=context.error)
        match table.value.get("type"):
            case "insecureAcceptAnything":
                table.refuse_unknown(("type",))
                requirements.append(InsecureAcceptAnything())
            case "reject":
                table.refuse_unknown(("type",))
                requirements.append(Reject())
            case "signedBy":
                names = ("keyPath", "keyPaths", "keyData")
                table.refuse_unknown(("type", "keyType", "signedIdentity", *names))
                key_type = cast("KeyType", table.one_of("keyType", get_args(KeyType)))
                keys, identity = _require_keys(table, names), _parse_identity(table)
                requirements.append(SignedBy(key_type, keys, identity))
            case "sigstoreSigned":
                requirements.append(_parse_sigstore_signed(table))
            case other:
                raise table.problem(f"unknown requirement type {str(other)[:80]!r}")
    return tuple(requirements)


def _parse_sigstore_signed(table: Table) -> SigstoreSigned:
    names = ("keyPath", "keyPaths", "keyData", "keyDatas")
    logs = tuple(f"rekorPublicKey{suffix}" for suffix in ("Path", "Paths", "Data", "Datas"))
    table.refuse_unknown(("type", *names, "fulcio", "pki", *logs, "signedIdentity"))
    if sum(name in table.value for name in (*names, "fulcio", "pki")) != 1:
        raise table.problem(f"expected exactly one of {', '.join(names)}, fulcio and pki")
    rekor = _read_keys(table, logs)
    signer: Keys | Fulcio | Pki
    if "fulcio" in table.value:
        if rekor == NO_KEYS:
            raise table.problem(f"fulcio requires {logs[0]}")
        fulcio = _read_table(table, "fulcio")
        fulcio.refuse_unknown(("caPath", "caData", "oidcIssuer", "subjectEmail"))
        authority = _require_keys(fulcio, ("caPath", "caData"))
        signer = Fulcio(authority, fulcio.text("oidcIssuer"), fulcio.text("subjectEmail"))
    elif "pki" in table.value:
        if rekor != NO_KEYS:
            raise table.problem(f"pki and {logs[0]} are mutually exclusive")
        pki = _read_table(table, "pki")
        roots = ("caRootsPath", "caRootsData")
        intermediates = ("caIntermediatesPath", "caIntermediatesData")
        subjects = ("subjectHostname", "subjectEmail")
        pki.refuse_unknown((*roots, *intermediates, *subjects))
        stated = [pki.text(key) if key in pki.value else "" for key in subjects]
        if not any(stated):
            raise pki.problem(f"expected at least one of {' and '.join(subjects)}")
        signer = Pki(_require_keys(pki, roots), _read_keys(pki, intermediates), *stated)
    else:
        signer = _require_keys(table, names)
    return SigstoreSigned(signer, rekor, _parse_identity(table))


_IDENTITY_KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("matchExact", "matchRepoDigestOrExact", "matchRepository"), ()),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}
_PREFIX = re.compile(r"[A-Za-z0-9.:\[\]-]+(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")


def _parse_identity(requirement: Table) -> SignedIdentity:
    if requirement.value.get("signedIdentity") is None:
        return OWN_NAME
    table = _read_table(requirement, "signedIdentity")
    kind = table.value.get("type")
    if not isinstance(kind, str) or kind not in _IDENTITY_KEYS:
        raise table.problem(f"unknown signedIdentity type {str(kind)[:80]!r}")
    keys, identity_type = _IDENTITY_KEYS[kind], cast("IdentityType", kind)
    table.refuse_unknown(("type", *keys))
    if identity_type == "remapIdentity":
        prefixes = [table.text(key) for key in keys]
        for prefix in prefixes:
            if not _PREFIX.fullmatch(prefix):
                raise table.problem(f"{prefix[:200]!r}: expected a registry or a repository")
        return SignedIdentity(identity_type, prefix=prefixes[0], signed_prefix=prefixes[1])
    if not keys:
        return SignedIdentity(identity_type)
    text = table.text(keys[0])
    try:
        image = ImageReference.parse(text)
    except InvalidReferenceError as error:
        raise table.problem(error.message) from None
    if (image.version is None) != (identity_type == "exactRepository"):
        expected = (
            "a repository without a tag or a digest"
            if keys[0] == "dockerRepository"
            else "a reference with a tag or a digest"
        )
        raise table.problem(f"{text[:200]!r}: expected {expected}")
    return SignedIdentity(identity_type, name=str(image))


def _require_keys(table: Table, names: tuple[str, ...]) -> Keys:
    keys = _read_keys(table, names)
    if keys == NO_KEYS:
        raise table.problem(f"expected exactly one of {', '.join(names)}")
    return keys


def _read_keys(table: Table, names: tuple[str, ...]) -> Keys:
    """Read the member among ``names``, of which one at most may be present."""
    present = [name for name in names if name in table.value]
    if len(present) > 1:
        raise table.problem(f"{present[0]} and {present[1]} are mutually exclusive")
    if not present:
        return NO_KEYS
    name = present[0]
    values = table.texts(name) if name.endswith("s") else (table.text(name),)
    if not values or not all(values):
        raise table.problem(f"{name} is empty")
    if "Data" not in name:
        return Keys(paths=values)
    try:
        return Keys(data=tuple(base64.b64decode(value, validate=True) for value in values))
    except ValueError:
        raise table.problem(f"{name} is not valid base64") from None


def _read_table(table: Table, key: str) -> Table:
    return Table.of(table.value[key], f"{table.subject}.{key}", error=table.error)
