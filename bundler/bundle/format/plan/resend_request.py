"""The request of a site to write volumes of a bundle again, under the same plan.

It contains the sealed plan with its signatures, so that the exporting side needs no memory of the
bundle, and is not signed itself: it asks for nothing but what its own keys have signed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bundler.bundle.format.authenticate import verify_signatures
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.signatures.bundle_signatures import MAX_SIGNATURE, MAX_SIGNATURES
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import read_chunks
from bundler.errors import LimitError, MalformedError, UnauthenticatedError
from bundler.oci.json import strict
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.plan.sealed_plan import PlannedContent, SealedPlan
    from bundler.bundle.format.reading.volume_files import VolumeFiles
    from bundler.trust.keys import PublicKey

TYPE = "airbundle/resend/v1"
MAX_REQUEST = MAX_INVENTORY
"""The maximum size of a request in bytes."""


@dataclass(frozen=True, slots=True)
class ResendRequest:
    """The volumes that are missing, and the plan of their bundle."""

    raw_plan: bytes
    signatures: Mapping[str, bytes]
    """The signatures of the plan, by the names of their files."""
    contents: bytes
    """``CONTENTS`` of the plan."""
    volumes: tuple[int, ...]
    """The numbers of the volumes to write again, sorted."""

    @classmethod
    def create(cls, files: VolumeFiles, volumes: Iterable[int]) -> Self:
        """Create the request for ``volumes`` of the bundle that the present ``files`` announce."""
        signatures = {
            name: files.read(name, MAX_SIGNATURE)
            for name in files.list_names("")
            if bundle_paths.parse_signature_name(name, bundle_paths.PLAN)
        }
        contents = files.read(bundle_paths.CONTENTS, sealed_plan.MAX_CONTENTS)
        return cls(files.raw_plan, signatures, contents, tuple(sorted(volumes)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a request from a file.

        Raises:
            MissingFileError, MediumError: the file cannot be read.
            MalformedError, LimitError: it is not valid.
        """
        with RegularFile.open(path) as file:
            if file.size > MAX_INVENTORY:
                raise LimitError(f"{path}: too large (expected at most {MAX_INVENTORY:,} bytes)")
            raw = b"".join(map(bytes, read_chunks(file, file.size)))
        return cls.parse(raw, str(path))

    @classmethod
    def parse(cls, raw: bytes, subject: str) -> Self:
        """Read a request.

        Raises:
            MalformedError, LimitError: it is not valid.
        """
        table = Table.parse(raw, subject, limit=MAX_INVENTORY)
        if table.text("_type") != TYPE:
            raise table.problem(f"not a request for volumes: _type is not {TYPE!r}")
        items = table.tables("signatures", MAX_SIGNATURES)
        signatures = {item.text("name"): item.base64("signature") for item in items}
        volumes = [item.integer("number") for item in table.tables("volumes", 10_000)]
        if not volumes or sorted({*volumes}) != volumes:
            raise table.problem("volumes are not distinct numbers in order")
        return cls(table.base64("plan"), signatures, table.base64("contents"), tuple(volumes))

    def to_bytes(self, members: Mapping[str, strict.JSON] | None = None) -> bytes:
        """Return the request as JSON; its readers ignore further ``members``.

        Raises:
            LimitError: it is larger than its readers accept.
        """
        value: dict[str, strict.JSON] = {
            "_type": TYPE,
            "plan": base64.b64encode(self.raw_plan).decode(),
            "contents": base64.b64encode(self.contents).decode(),
            "signatures": [
                {"name": name, "signature": base64.b64encode(data).decode()}
                for name, data in sorted(self.signatures.items())
            ],
            "volumes": [{"number": number} for number in self.volumes],
            **(members or {}),
        }
        raw = strict.dumps(value) + b"\n"
        if len(raw) > MAX_INVENTORY:
            raise LimitError(f"the request is too large (expected at most {MAX_INVENTORY:,} bytes)")
        return raw

    def authenticate(
        self, keys: Sequence[PublicKey]
    ) -> tuple[SealedPlan, tuple[PlannedContent, ...]]:
        """Check that one of ``keys`` signed the plan, and parse it and the list of its content.

        Raises:
            InvalidSignatureError: a signature by one of the keys does not verify.
            UnauthenticatedError: none of the keys signed it.
            MalformedError, LimitError, IntegrityError: the plan is not valid.
        """
        own = {
            bundle_paths.format_signature_name(key_id): data
            for name, data in self.signatures.items()
            if (key_id := bundle_paths.parse_signature_name(name, bundle_paths.PLAN))
        }
        if not verify_signatures(self.raw_plan, own, keys):
            raise UnauthenticatedError(
                "the request: its plan is not signed by a given key",
                trusted=[key.id for key in keys],
                signed_by=sorted(own),
                hint="add the key that signed the bundle: --sign-key FILE.key",
            )
        plan = sealed_plan.parse_sealed_plan(self.raw_plan)
        if self.volumes[-1] > len(plan.volumes) or self.volumes[0] < 1:
            raise MalformedError(
                f"the request: volume {self.volumes[-1]} of a bundle with {len(plan.volumes)}"
            )
        return plan, sealed_plan.parse_contents(self.contents, plan.contents)
