"""Descriptors: the media type, digest and size of content.

https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.oci.json.table import Table
from bundler.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.oci.digest import Digest

_MEMBERS = {
    "mediaType": Table.text,
    "digest": Table.digest,
    "size": Table.integer,
    "urls": Table.texts,
    "annotations": Table.annotations,
    "platform": Table.optional_table,
    "artifactType": Table.optional_text,
    "data": None,
}

# Media types are sent in HTTP headers: printable ASCII without a space at either end.
_MEDIA_TYPE = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")

SIZE_UNKNOWN = -1
"""The size of a schema 1 layer: the manifest does not record it."""

ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"
ANNOTATION_CONTAINERD_NAME = "io.containerd.image.name"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The media type, digest and size in bytes of content, and its optional properties."""

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    artifact_type: str | None = None

    @classmethod
    def from_json(cls, table: Table) -> Descriptor:
        """Read a descriptor.

        Raises:
            MalformedError: a member is missing or has the wrong type.
        """
        media_type, digest, size, urls, annotations, platform, artifact_type = table.read(_MEMBERS)
        if _MEDIA_TYPE.fullmatch(media_type) is None:
            raise table.problem(f"{media_type[:80]!r} is not a valid media type")
        if platform is not None:
            platform = Platform.from_json(platform)
        return cls(media_type, digest, size, urls, annotations, platform, artifact_type)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, with the members in the order of containers/image."""
        value: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest.text,
            "size": self.size,
        }
        if self.urls:
            value["urls"] = list(self.urls)
        if self.annotations:
            value["annotations"] = dict(sorted(self.annotations.items()))
        if self.platform is not None:
            value["platform"] = self.platform.to_json()
        if self.artifact_type is not None:
            value["artifactType"] = self.artifact_type
        return value
