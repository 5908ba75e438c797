"""Write the evidence of one import or audit.

Objects are written as they are known, before anything is pushed; so a full disk ends an import that
has changed nothing. The document that names them is written last, and its digest goes into the log.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from bundler import __version__
from bundler.bundle.records.evidence import objects
from bundler.bundle.records.evidence.describe import describe_image
from bundler.bundle.records.evidence.document import TYPE
from bundler.errors import LimitError
from bundler.oci.json import strict, timestamps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.oci.digest import Digest

MAX_CLAIMS = 256 * 1024 * 1024
"""The maximum size of the claims of one import or audit that are kept, in bytes."""
_RESULT = 2048
"""The maximum size of a target name and a result in the document, in bytes."""


class EvidenceDraft:
    """The evidence of one import or audit, which is being written to the records in ``path``.

    For one thread.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: list[dict[str, Any]] = []
        self._value: dict[str, Any] = {
            "_type": TYPE,
            "tool": {"name": "airbundle", "version": __version__},
        }

    def add_bundle(self, bundle: AuthenticatedBundle) -> None:
        """Keep the inventory of a bundle with its signatures, and the names of its signers.

        Raises:
            DamagedEvidenceError: an object with the digest of one of them exists, and is damaged.
            NoSpaceError, MediumError: they cannot be written.
        """
        with objects.open_store(self._path, create=True) as store:
            self._value["inventory"] = store.add(bundle.raw).text
            self._value["signatures"] = [
                {"name": PurePath(name).name, "digest": store.add(signature).text}
                for name, signature in sorted(bundle.signatures.items())
            ]
            store.sync()
        names = bundle.trust.names
        self._value["signers"] = [
            {"key": key.id} | ({"name": names[key.id]} if key.id in names else {})
            for key in bundle.signers
        ]

    def add_location(self, audited: AuditedLocation, verdict: Verdict | None = None) -> None:
        """Keep what was read of images, and the ``verdict`` of rules about them.

        Raises:
            LimitError: it is too large.
            DamagedEvidenceError, NoSpaceError, MediumError: as for ``add_bundle``.
        """
        report, database = audited.vulnerabilities, {}
        if report is not None:
            summary = report.database
            modified = summary.modified and timestamps.format_utc(summary.modified)
            database = {"digest": summary.digest.text, "modified": modified}
        with objects.open_store(self._path, create=True) as store:
            remaining = MAX_CLAIMS
            for image in audited.images:
                described, size = describe_image(image, store, remaining, database)
                self._images.append(described)
                remaining -= size
            if verdict is not None:
                self._value["verdict"] = store.add(objects.encode(verdict.to_json())).text
            store.sync()
        size = len(strict.dumps(self._value | {"images": self._images}))
        if size + _RESULT * len(self._images) > objects.MAX_OBJECT:
            raise LimitError(
                f"{audited.location}: its evidence is too large (expected at most"
                f" {objects.MAX_OBJECT:,} bytes, got {size:,})"
            )

    def finish(self, results: Mapping[str, Mapping[str, str]] | None = None) -> Digest:
        """Write the document, durably; return its digest.

        ``results`` are the members ``name`` and ``action`` of images, by reference.

        Raises:
            NoSpaceError, MediumError: it cannot be written.
        """
        images = [{**item, **(results or {}).get(item["reference"], {})} for item in self._images]
        with objects.open_store(self._path, create=True) as store:
            digest = store.add(strict.dumps(self._value | {"images": images}))
            store.sync()
        return digest
