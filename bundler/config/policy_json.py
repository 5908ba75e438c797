"""policy.json: which images may be used, by where they come from.

containers-policy.json(5). The file decides about trust, so nothing in it is overlooked: a key that
is unknown, there twice or in another case is an error, as is a requirement that contradicts itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from bundler.config import bounded_read
from bundler.errors import BundlerError, ConfigError, InvalidReferenceError, PolicyFileError
from bundler.oci.json import strict
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KeyType = Literal["GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"]


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys or certificates; any one of them will do."""

    paths: tuple[str, ...] = ()
    data: tuple[bytes, ...] = ()


NO_KEYS = Keys()


@dataclass(frozen=True, slots=True)
class SignedIdentity:
    """Which name a signature must be for; by default the image's own, with a tag or by digest."""

    kind: Literal[
        "matchExact",
        "matchRepoDigestOrExact",
        "matchRepository",
        "exactReference",
        "exactRepository",
        "remapIdentity",
    ] = "matchRepoDigestOrExact"
    name: str = ""
    """Of ``exactReference`` and ``exactRepository``."""
    prefix: str = ""
    signed_prefix: str = ""


OWN_NAME = SignedIdentity()


@dataclass(frozen=True, slots=True)
class InsecureAcceptAnything:
    """Any image will do."""


@dataclass(frozen=True, slots=True)
class Reject:
    """No image will do."""


@dataclass(frozen=True, slots=True)
class SignedBy:
    """A simple signature by one of these keys."""

    key_type: KeyType
    keys: Keys
    identity: SignedIdentity = OWN_NAME


@dataclass(frozen=True, slots=True)
class Fulcio:
    """A certificate of a Fulcio that ``authority`` signed, for who logged in somewhere."""

    authority: Keys
    oidc_issuer: str
    subject_email: str


@dataclass(frozen=True, slots=True)
class Pki:
    """A certificate of an authority of one's own, for a host or an address."""

    roots: Keys
    intermediates: Keys = NO_KEYS
    subject_hostname: str = ""
    subject_email: str = ""


@dataclass(frozen=True, slots=True)
class SigstoreSigned:
    """A sigstore signature by ``signer``, and in the log of one of the ``rekor`` keys, if any."""

    signer: Keys | Fulcio | Pki
    rekor: Keys = NO_KEYS
    identity: SignedIdentity = OWN_NAME


Requirement = InsecureAcceptAnything | Reject | SignedBy | SigstoreSigned
Requirements = tuple[Requirement, ...]
"""All of them must be met; there is at least one."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole file."""

    origin: str
    """The file, for messages."""
    default: Requirements
    transports: Mapping[str, Mapping[str, Requirements]] = field(default_factory=dict, hash=False)
    """By a transport's name without colon, then by scope; the scope ``""`` is all the rest."""


def read(path: Path, *, required: bool = False) -> Policy | None:
    """The policy in ``path``; None if it does not exist and is not ``required``.

    Raises:
        PolicyFileError: it cannot be read, is not in order, or is required and does not exist.
    """
    try:
        raw = bounded_read.read(path, required=required)
    except ConfigError as error:
        raise PolicyFileError(error.message, path=error.path, os_error=error.os_error) from None
    return None if raw is None else parse(raw, str(path))


def parse(raw: bytes, origin: str) -> Policy:
    """Read a whole file; ``origin`` names it in messages.

    Raises:
        PolicyFileError: with the place in the file that is not in order.
    """
    try:
        value = strict.loads(raw, subject=origin, limit=bounded_read.MAX_SIZE)
    except BundlerError as error:
        raise PolicyFileError(error.message) from None
    top = _Object.of(value, origin, ("default", "transports"))
    if "default" not in top.members:
        raise PolicyFileError(f"{origin}: there is no default")
    transports = _named(top.members.get("transports", {}), f"{origin}: transports")
    return Policy(
        origin,
        _requirements(top.members["default"], f"{origin}: default"),
        {
            transport: {
                _scope(transport, scope, where): _requirements(item, f"{where}: {scope!r}")
                for scope, item in _named(scopes, where).items()
            }
            for transport, scopes in transports.items()
            for where in [f"{origin}: {transport}"]
        },
    )


# The transports that know files: a scope is a path, and of archives also a path with a name.
_PATHS = frozenset({"dir", "oci", "oci-archive", "sif", "ostree"})
_UNSCOPED = frozenset({"docker-archive", "tarball"})


def _scope(transport: str, scope: str, what: str) -> str:
    if not scope:
        return scope
    if transport in _UNSCOPED:
        raise PolicyFileError(f'{what}: {scope!r}: only the scope "" is known there')
    if transport in _PATHS:
        path = scope if transport in ("dir", "sif") else scope.partition(":")[0]
        parts = path.split("/")
        if parts[0] or any(part in ("", ".", "..") for part in parts[1:]):
            raise PolicyFileError(f"{what}: {scope!r} is not an absolute path without . and ..")
    return scope


def _requirements(value: object, what: str) -> Requirements:
    if not isinstance(value, list) or not value:
        raise PolicyFileError(f"{what}: expected a list of at least one requirement")
    return tuple(_requirement(item, f"{what}[{index}]") for index, item in enumerate(value))


def _requirement(value: object, what: str) -> Requirement:
    kind = _named(value, what).get("type")
    read = _REQUIREMENTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise PolicyFileError(f"{what}: unknown type of requirement {str(kind)[:80]!r}")
    return read(value, what)


def _insecure_accept_anything(value: object, what: str) -> Requirement:
    _Object.of(value, what, ("type",))
    return InsecureAcceptAnything()


def _reject(value: object, what: str) -> Requirement:
    _Object.of(value, what, ("type",))
    return Reject()


def _signed_by(value: object, what: str) -> Requirement:
    names = ("keyPath", "keyPaths", "keyData")
    found = _Object.of(value, what, ("type", "keyType", "signedIdentity", *names))
    kind = found.text("keyType")
    if kind not in ("GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"):
        raise PolicyFileError(f"{what}: unknown keyType {kind[:80]!r}")
    return SignedBy(cast("KeyType", kind), found.one_of(*names), found.identity())


def _sigstore_signed(value: object, what: str) -> Requirement:
    own = ("keyPath", "keyPaths", "keyData", "keyDatas")
    logs = tuple(f"rekorPublicKey{suffix}" for suffix in ("Path", "Paths", "Data", "Datas"))
    known = ("type", *own, "fulcio", "pki", *logs, "signedIdentity")
    found = _Object.of(value, what, known)
    if sum(name in found.members for name in (*own, "fulcio", "pki")) != 1:
        raise PolicyFileError(f"{what}: exactly one of {', '.join(own)}, fulcio and pki is wanted")
    rekor = found.at_most_one_of(*logs)
    signer: Keys | Fulcio | Pki
    if "fulcio" in found.members:
        if rekor == NO_KEYS:
            raise PolicyFileError(f"{what}: fulcio needs a {logs[0]} too")
        signer = _fulcio(found.members["fulcio"], f"{what}.fulcio")
    elif "pki" in found.members:
        if rekor != NO_KEYS:
            raise PolicyFileError(f"{what}: pki goes without a {logs[0]}")
        signer = _pki(found.members["pki"], f"{what}.pki")
    else:
        signer = found.one_of(*own)
    return SigstoreSigned(signer, rekor, found.identity())


_REQUIREMENTS: dict[str, Callable[[object, str], Requirement]] = {
    "insecureAcceptAnything": _insecure_accept_anything,
    "reject": _reject,
    "signedBy": _signed_by,
    "sigstoreSigned": _sigstore_signed,
}


def _fulcio(value: object, what: str) -> Fulcio:
    found = _Object.of(value, what, ("caPath", "caData", "oidcIssuer", "subjectEmail"))
    authority = found.one_of("caPath", "caData")
    return Fulcio(authority, found.text("oidcIssuer"), found.text("subjectEmail"))


def _pki(value: object, what: str) -> Pki:
    roots, between = ("caRootsPath", "caRootsData"), ("caIntermediatesPath", "caIntermediatesData")
    subjects = ("subjectHostname", "subjectEmail")
    found = _Object.of(value, what, (*roots, *between, *subjects))
    named = [found.text(name) if name in found.members else "" for name in subjects]
    if not any(named):
        raise PolicyFileError(f"{what}: at least one of {' and '.join(subjects)} is wanted")
    return Pki(found.one_of(*roots), found.at_most_one_of(*between), *named)


_IDENTITIES: dict[str, tuple[str, ...]] = {
    "matchExact": (),
    "matchRepoDigestOrExact": (),
    "matchRepository": (),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}
_PREFIX = re.compile(r"[A-Za-z0-9.:\[\]-]+(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")


def _identity(value: object, what: str) -> SignedIdentity:
    kind = _named(value, what).get("type")
    if not isinstance(kind, str) or kind not in _IDENTITIES:
        raise PolicyFileError(f"{what}: unknown type of signedIdentity {str(kind)[:80]!r}")
    found = _Object.of(value, what, ("type", *_IDENTITIES[kind]))
    made = cast("Any", kind)
    if kind == "remapIdentity":
        prefixes = [found.text(name) for name in _IDENTITIES[kind]]
        for prefix in prefixes:
            if not _PREFIX.fullmatch(prefix):
                raise PolicyFileError(f"{what}: {prefix[:200]!r} is not a registry or a repository")
        return SignedIdentity(made, prefix=prefixes[0], signed_prefix=prefixes[1])
    if not _IDENTITIES[kind]:
        return SignedIdentity(made)
    text = found.text(_IDENTITIES[kind][0])
    try:
        image = ImageReference.parse(text)
    except InvalidReferenceError as error:
        raise PolicyFileError(f"{what}: {error}") from None
    if (image.version is None) != (kind == "exactRepository"):
        expected = "a repository" if kind == "exactRepository" else "a tag or a digest too"
        raise PolicyFileError(f"{what}: {text[:200]!r}: expected {expected}")
    return SignedIdentity(made, name=str(image))


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object all of whose keys are known, and where it stands."""

    what: str
    members: Mapping[str, Any]

    @classmethod
    def of(cls, value: object, what: str, known: tuple[str, ...]) -> _Object:
        members = _named(value, what)
        for key in members:
            if key not in known:
                raise PolicyFileError(f"{what}: unknown key {key[:80]!r}")
        return cls(what, members)

    def text(self, name: str) -> str:
        value = self.members.get(name)
        if not isinstance(value, str) or not value:
            raise PolicyFileError(f"{self.what}: {name} is missing, or not a text")
        return value

    def one_of(self, *names: str) -> Keys:
        found = self.at_most_one_of(*names)
        if found == NO_KEYS:
            raise PolicyFileError(f"{self.what}: exactly one of {', '.join(names)} is wanted")
        return found

    def at_most_one_of(self, *names: str) -> Keys:
        """The keys under one of ``names``; a plural holds a list, data are in base64."""
        given = [name for name in names if name in self.members]
        if len(given) > 1:
            raise PolicyFileError(f"{self.what}: {given[0]} and {given[1]} exclude one another")
        for name in given:
            value = self.members[name] if name.endswith("s") else [self.members[name]]
            whole = isinstance(value, list) and all(
                isinstance(item, str) and item for item in value
            )
            if not whole or not value:
                raise PolicyFileError(f"{self.what}: {name} is empty, or no text")
            if "Data" not in name:
                return Keys(paths=tuple(value))
            return Keys(data=tuple(_decoded(item, f"{self.what}: {name}") for item in value))
        return NO_KEYS

    def identity(self) -> SignedIdentity:
        if self.members.get("signedIdentity") is None:
            return OWN_NAME
        return _identity(self.members["signedIdentity"], f"{self.what}.signedIdentity")


def _named(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PolicyFileError(f"{what}: expected an object")
    return value


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PolicyFileError(f"{what}: not base64") from None
