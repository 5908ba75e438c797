"""The question to the evidence of a site, and its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import PartialError, count

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.records.evidence.document import KeptImage
    from bundler.bundle.records.evidence.package_query import PackageQuery
    from bundler.bundle.records.log.log import Entry
    from bundler.gocompat.regexp import GoExpression

MIN_FINGERPRINT = 8
"""The minimum number of hexadecimal digits that identify a key."""

GapCode = Literal[
    "no-evidence",
    "no-contents",
    "no-package-list",
    "package-list-incomplete",
    "no-vulnerability-result",
    "vulnerability-result-incomplete",
    "evidence-missing",
    "evidence-damaged",
    "log-restored",
]


_AUDIT = "audit the bundle again with --records, if it still exists"
_CHECK = "audit it again with --records and --database, or search for the package"
_HINTS: dict[GapCode, str] = {
    "no-evidence": "search the receipts of this import, or look into the images at the target",
    "no-contents": "read the reason in the line, and look into the image at the target",
    "no-package-list": _AUDIT,
    "package-list-incomplete": "look for the file in the image with airbundle find --file",
    "no-vulnerability-result": _CHECK,
    "vulnerability-result-incomplete": _CHECK,
    "evidence-missing": "airbundle log verify names the file: put it back from a backup",
    "evidence-damaged": "airbundle log verify names the file: put it back from a backup",
    "log-restored": "search the files of the former log, which restore kept",
}
"""The next step after a gap."""


@dataclass(frozen=True, slots=True)
class Query:
    """The conditions that an entry of the log and its images have to meet, all of them."""

    since: datetime | None = None
    until: datetime | None = None
    person: str = ""
    """The name of a signer or of the operator, or the beginning of the fingerprint of a key."""
    image: GoExpression | None = None
    """An expression for the reference or the target name of an image."""
    digest: str = ""
    """The beginning of the hexadecimal digest of an inventory, a manifest, a config or a layer."""
    package: PackageQuery | None = None
    vulnerability: str = ""
    """An ID of a vulnerability, in lower case."""

    @property
    def needs_images(self) -> bool:
        """Whether there is a condition on images."""
        return bool(self.image or self.digest or self.package or self.vulnerability)

    def contains(self, moment: datetime) -> bool:
        """Whether ``moment`` is in the requested period, whose limits belong to it."""
        return (self.since is None or moment >= self.since) and (
            self.until is None or moment <= self.until
        )


@dataclass(frozen=True, slots=True)
class Match:
    """An entry of the log that meets the conditions, with an image if there are some on images."""

    entry: Entry
    kind: Literal["entry", "image", "digest", "package", "vulnerability"]
    text: str = ""
    """The kind and the digest of the content, or the package with its version, or the vulnerability
    with its package."""
    image: KeptImage | None = None
    """The image in the document; None: there is no condition on images."""
    platform: str = ""
    is_claimed: bool = False
    """Whether an SBOM of the sender states it, which was not compared with the image."""

    def to_json(self) -> dict[str, Any]:
        """Return the match as JSON, without members that are unset."""
        value = describe_entry(self.entry) | {"kind": self.kind}
        if self.image is not None:
            members = ("reference", "digest", "name", "action")
            value |= {key: getattr(self.image, key) for key in members}
        value |= {"platform": self.platform, "text": self.text, "claimed": self.is_claimed}
        return {key: item for key, item in value.items() if item or key == "serial"}


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of the evidence that cannot answer the query."""

    code: GapCode
    entry: Entry
    text: str
    images: tuple[str, ...] = ()
    """The references of the images that it concerns; empty: all of the entry."""

    def to_json(self) -> dict[str, Any]:
        """Return the gap as JSON."""
        value = describe_entry(self.entry) | {"code": self.code, "text": self.text}
        return value | ({"images": list(self.images)} if self.images else {})

    def __str__(self) -> str:
        value = self.entry.value
        of_images = f" of {count(len(self.images), 'image')}" if self.images else ""
        return (
            f"line {value['number']} ({value['time']}, {format_bundle(self.entry)}):"
            f" {self.text}{of_images} [{self.code}]"
        )


@dataclass(slots=True)
class Answer:
    """The matches in the order of the log, and the gaps."""

    entries: int = 0
    """The number of entries that meet the conditions on time and person."""
    matches: list[Match] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON."""
        return {
            "entries": self.entries,
            "matches": [match.to_json() for match in self.matches],
            "gaps": [gap.to_json() for gap in self.gaps],
        }

    def check(self) -> None:
        """Check that the answer is complete.

        Raises:
            PartialError: it has gaps.
        """
        if self.gaps:
            raise PartialError(
                "not all imports and audits can be searched, so matches may be missing",
                [str(gap) for gap in self.gaps],
                hint="; ".join(dict.fromkeys(_HINTS[gap.code] for gap in self.gaps)),
            )


def describe_entry(entry: Entry) -> dict[str, Any]:
    """Return the members of an entry that identify its bundle, and state when and by whom."""
    members = ("number", "time", "event", "stream", "serial", "target", "location", "signedBy")
    return {key: entry.value[key] for key in (*members, "operator") if key in entry.value}


def format_bundle(entry: Entry) -> str:
    """Return the stream and the serial of an entry, or the location of an audit."""
    value = entry.value
    if "stream" in value:
        return f"{value['stream']} {value['serial']}"
    return str(value.get("location", entry.event))
