"""The documents of senders: SBOMs in CycloneDX and SPDX, and VEX, also in in-toto statements.

They are untrusted, and their signatures are not verified here.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from bundler.bundle.audit.packages.claims.vex import (
    VexStatement,
    parse_cyclonedx,
    parse_openvex,
)
from bundler.bundle.audit.packages.purl import parse_purl

MAX_DOCUMENT = 16 * 1024 * 1024
"""The maximum size of a document in bytes."""
_MAX_COMPONENTS = 100_000
_MAX_ENVELOPES = 4
_OPENVEX = "https://openvex.dev/"

Identity = tuple[str, str, str]
"""Type, name with its namespace, and version of a package."""


class DocumentError(Exception):
    """A document that cannot be read."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a document."""

    type: str
    """``cyclonedx``, ``spdx``, ``openvex``, or the predicate type of another statement."""
    subjects: tuple[str, ...] | None
    """The SHA-256 digests that a statement is about; None: the document is not a statement."""
    packages: dict[Identity, str] | None
    """The package URLs by what they identify; None: the document is no SBOM."""
    statements: tuple[VexStatement, ...] = ()
    """The statements about vulnerabilities."""


def parse_document(raw: bytes) -> Document:
    """Parse a document, whose form determines its type.

    Raises:
        DocumentError: it is malformed, nested too deep, or of an unknown form.
    """
    try:
        return _read(json.loads(raw), None, _MAX_ENVELOPES)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DocumentError("malformed, or nested too deep") from error


def _read(value: Any, subjects: tuple[str, ...] | None, depth: int) -> Document:  # noqa: ANN401
    if not depth:
        raise DocumentError("too many envelopes")
    if "dsseEnvelope" in value:
        return _read(value["dsseEnvelope"], subjects, depth - 1)
    if "payload" in value:
        try:
            payload = base64.b64decode(value["payload"], validate=True)
        except binascii.Error as error:
            raise DocumentError("malformed payload") from error
        return _read(json.loads(payload), subjects, depth - 1)
    if "predicateType" in value:
        about = tuple(str(item["digest"].get("sha256")) for item in value.get("subject", ()))
        predicate = value.get("predicate") or {}
        is_openvex = str(predicate.get("@context", "")).startswith(_OPENVEX)
        if is_openvex or any(key in predicate for key in ("bomFormat", "spdxVersion")):
            return _read(predicate, about, depth - 1)
        return Document(str(value["predicateType"]), about, None)
    if "bomFormat" in value:
        # A document with nothing but statements about vulnerabilities is no SBOM.
        is_sbom = "components" in value or "vulnerabilities" not in value
        components = _read_components(value) if is_sbom else None
        return Document("cyclonedx", subjects, components, tuple(parse_cyclonedx(value)))
    if "spdxVersion" in value:
        return Document("spdx", subjects, _read_spdx(value))
    if str(value.get("@context", "")).startswith(_OPENVEX):
        return Document("openvex", subjects, None, tuple(parse_openvex(value)))
    raise DocumentError("neither an SBOM nor a statement")


def _read_components(value: dict[str, Any]) -> dict[Identity, str]:
    found: dict[Identity, str] = {}
    pending = [value]
    number = 0
    while pending:
        for component in pending.pop().get("components", ()):
            number += 1
            if number > _MAX_COMPONENTS:
                raise DocumentError("too many packages")
            pending.append(component)
            _add(found, component.get("purl"))
    return found


def _read_spdx(value: dict[str, Any]) -> dict[Identity, str]:
    found: dict[Identity, str] = {}
    packages = value.get("packages", ())
    if len(packages) > _MAX_COMPONENTS:
        raise DocumentError("too many packages")
    for package in packages:
        for reference in package.get("externalRefs", ()):
            if reference.get("referenceType") == "purl":
                _add(found, reference.get("referenceLocator"))
    return found


def _add(found: dict[Identity, str], purl: object) -> None:
    identity = parse_purl(purl) if isinstance(purl, str) else None
    if identity is not None and isinstance(purl, str):
        found[identity] = purl
