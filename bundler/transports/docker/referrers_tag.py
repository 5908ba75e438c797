"""The referrers tag scheme, for registries without a referrers API.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.registry.repository import to_fallback_tag

if TYPE_CHECKING:
    from bundler.registry.repository import Repository

MAY_HAVE_SUBJECT = (media_types.OCI_MANIFEST, media_types.OCI_INDEX)


def add_to_referrers(repository: Repository, root: Descriptor, raw: bytes) -> None:
    """Add the manifest ``raw`` to the index of its subject's referrers, under the fallback tag.

    Nothing is written if the manifest has no subject, or the registry already lists it.

    Raises:
        RegistryError, ConflictError: the index cannot be read or written.
    """
    parsed = manifest.parse(raw, root.media_type, subject=f"manifest {root.digest}")
    if parsed.subject is None:
        return
    subject = parsed.subject.digest
    known = {item.digest for item in repository.list_referrers(subject)}
    if root.digest in known or repository.has_referrers_api:
        return
    index = repository.get_fallback_index(subject)
    value: dict[str, Any] = (
        {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
        if index is None
        else json.loads(index.raw)
    )
    entry = Descriptor(
        root.media_type,
        root.digest,
        root.size,
        annotations=parsed.annotations,
        artifact_type=manifest.get_artifact_type(parsed),
    )
    value["manifests"].append(entry.to_json())
    encoded = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    repository.put_manifest(to_fallback_tag(subject), media_types.OCI_INDEX, encoded)
