"""The document of one import or audit, which names its objects by their digests.

A search reads the documents of all imports, so they are parsed into small values, and digests
remain texts until their objects are read.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from bundler.errors import DamagedEvidenceError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.records.evidence.objects import ObjectStore

TYPE = "airbundle/evidence/v1"


class KeptPlatform(NamedTuple):
    """The image of one platform; texts are empty if they are unknown."""

    name: str
    digest: str
    packages: str
    """The digest of the object with its packages."""
    unreadable: int
    """The number of files that should state packages and could not be read."""
    vulnerabilities: str
    """The digest of the object with its vulnerabilities."""
    is_complete: bool
    """Whether each package was compared with the database of vulnerabilities."""


class KeptClaim(NamedTuple):
    """An SBOM or another document of the sender; texts are empty if they are unknown."""

    document: str
    """The digest of the object with its bytes."""
    packages: str
    """The digest of the object with the packages that it states."""


class KeptImage(NamedTuple):
    """An image that was imported or audited; texts are empty if they are unknown."""

    reference: str
    digest: str
    name: str
    """The target name."""
    action: str
    """The result of an import."""
    contents: str
    """The digest of the object with its manifests and blobs."""
    is_artifact: bool
    platforms: tuple[KeptPlatform, ...]
    claims: tuple[KeptClaim, ...]
    signers: tuple[str, ...]
    """The keys and identities that the policy accepted."""


class Document(NamedTuple):
    """The evidence of one import or audit; texts are empty if they are unknown."""

    inventory: str
    verdict: str
    signatures: tuple[str, ...]
    signers: tuple[str, ...]
    """The names of the signers of the bundle."""
    images: tuple[KeptImage, ...]

    def list_objects(self) -> Iterator[Digest]:
        """Yield the digest of each object that the document names; some may be repeated."""
        texts = [self.inventory, self.verdict, *self.signatures]
        for image in self.images:
            texts.append(image.contents)
            for platform in image.platforms:
                texts += (platform.packages, platform.vulnerabilities)
            for claim in image.claims:
                texts += claim
        return (Digest(text) for text in texts if text)


def read(store: ObjectStore, digest: Digest) -> Document:
    """Read the document with this digest.

    Raises:
        MissingEvidenceError: there is no such object.
        DamagedEvidenceError: its content has another digest, or is not a document.
        MediumError: it cannot be read.
    """
    value = parse_object(store.read(digest), digest)
    parsed = None
    with suppress(AttributeError, KeyError, TypeError, ValueError):
        if value["_type"] == TYPE:
            inventory, verdict = _get_texts(value, "inventory", "verdict")
            parsed = Document(
                inventory,
                verdict,
                tuple(_get_texts(item, "digest")[0] for item in value.get("signatures", ())),
                tuple(_get_texts(item, "name")[0] for item in value.get("signers", ())),
                tuple(map(_parse_image, value["images"])),
            )
    if parsed is None:
        problem = f"evidence {digest}: not a document of a known version (expected {TYPE!r})"
        raise DamagedEvidenceError(problem, (digest.text,))
    return parsed


def parse_object(raw: bytes, digest: Digest) -> dict[str, Any]:
    """Parse an object that was written here, as its digest proves.

    Raises:
        DamagedEvidenceError: it is not a JSON object.
    """
    try:
        value = json.loads(raw)
    except (RecursionError, ValueError):
        value = None
    if not isinstance(value, dict):
        problem = f"evidence {digest}: not a JSON object"
        raise DamagedEvidenceError(problem, (digest.text,))
    return value


def _parse_image(value: dict[str, Any]) -> KeptImage:
    reference, root, name, action, contents = _get_texts(
        value, "reference", "digest", "name", "action", "contents"
    )
    platforms = []
    for item in value.get("platforms", ()):
        platform, digest, packages, vulnerabilities = _get_texts(
            item, "platform", "digest", "packages", "vulnerabilities"
        )
        unreadable, is_complete = int(item.get("unreadable", 0)), item.get("complete") is True
        platforms.append(
            KeptPlatform(platform, digest, packages, unreadable, vulnerabilities, is_complete)
        )
    claims = []
    signers: list[str] = []
    for item in value.get("claims", ()):
        text, packages = _get_texts(item, "document", "packages")
        claims.append(KeptClaim(text, packages))
    for item in value.get("accepted", ()):
        signers += filter(None, _get_texts(item, "key", "identity"))
    return KeptImage(
        reference,
        root,
        name,
        action,
        contents,
        "artifact" in value,
        tuple(platforms),
        tuple(claims),
        tuple(signers),
    )


def _get_texts(value: dict[str, Any], *keys: str) -> list[str]:
    """Return texts; those that are absent are empty.

    Raises:
        TypeError: a member is not a text.
    """
    texts = [value.get(key, "") for key in keys]
    "".join(texts)  # raises TypeError unless all are texts
    return texts
