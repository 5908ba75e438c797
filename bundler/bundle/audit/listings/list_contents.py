"""List the images of a bundle and their sizes.

Only manifests are read and verified. Signatures are not verified here: the caller may pass an
authenticated inventory.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.inventory.sizes import Sizes, compute_sizes
from bundler.bundle.format.signatures import bundle_signatures
from bundler.bundle.verifying import stored_graphs
from bundler.errors import DamagedBundleError
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.bundle.format.inventory.omissions import Omissions
    from bundler.bundle.format.reading.files import BundleFiles


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a bundle."""

    inventory: Inventory
    images: tuple[tuple[BundledImage, Sizes], ...]
    """Each image with the sizes of its blobs, referrers included."""
    total: Sizes
    signatures: tuple[str, ...]
    """The first 16 digits of each signer's key ID, from the file name of the signature."""
    expired: bool
    omissions: Omissions
    """The content of the images that is not in the bundle."""

    @property
    def referrers(self) -> int:
        """The number of referrers of all images."""
        return sum(len(image.referrers) for image, _ in self.images)

    @property
    def signature_files(self) -> int:
        """The number of signature files of all images."""
        return sum(len(image.signatures) for image, _ in self.images)

    def to_json(self) -> dict[str, Any]:
        """Return the listing as JSON; unknown values are null or empty, sizes in bytes."""
        contents, presupposed = self.inventory, self.inventory.presupposed_file
        return {
            "stream": contents.stream,
            "serial": contents.serial,
            "format": contents.format,
            "created": timestamps.format_utc(contents.created),
            "expires": contents.expires and timestamps.format_utc(contents.expires),
            "expired": self.expired,
            "complete": contents.complete,
            **({} if presupposed is None else {"presupposed": presupposed.count}),
            "tool": {"name": contents.tool.name, "version": contents.tool.version},
            "signatures": list(self.signatures),
            "blobs": self.total.blobs,
            "size": self.total.size,
            "referrers": self.referrers,
            "signatureFiles": self.signature_files,
            **self.omissions.to_json(),
            "images": [
                {
                    "reference": str(image.reference),
                    "digest": image.digest.text,
                    "mediaType": image.media_type,
                    "platforms": list(image.platforms),
                    "index": image.index,
                    "replaces": image.replaces and image.replaces.text,
                    "rename": image.rename,
                    "origin": image.origin,
                    "source": image.source,
                    "blobs": sizes.blobs,
                    "size": sizes.size,
                    "unique": sizes.unique,
                    "shared": sizes.shared,
                    "referrers": [
                        {
                            "digest": referrer.digest.text,
                            "subject": referrer.subject.text,
                            "artifactType": referrer.artifact_type,
                            "tag": referrer.tag,
                        }
                        for referrer in image.referrers
                    ],
                    "signatures": [signature.to_json() for signature in image.signatures],
                    "verified": [verified.to_json() for verified in image.verified],
                }
                for image, sizes in self.images
            ],
        }


def list_bundle(bundle: BundleFiles, inventory: Inventory | None = None) -> Listing:
    """List the content of a bundle; ``inventory`` is its inventory, None: it is read.

    Raises:
        NotFoundError: the directory contains no bundle.
        MalformedError, LimitError, UnsupportedError: its inventory cannot be read.
        DamagedBundleError: a manifest is missing or damaged, so the sizes are unknown.
    """
    if inventory is None:
        _, inventory = read_inventory(bundle)
    graphs = stored_graphs.read_graphs(bundle, inventory.format, inventory.images)
    if graphs.problems:
        raise DamagedBundleError(
            f"{bundle.location}: incomplete listing",
            [error.message for _, error in sorted(graphs.problems.items())],
            hint=f"list the damaged files with airbundle verify {bundle.location}",
        )
    present = bundle.scan().paths
    contents = [
        {
            node.descriptor.digest: node.descriptor.size
            for node in chain.from_iterable(of_image)
            if node.kind != "manifest" and (node.required or node.path in present)
        }
        for _, of_image in graphs.images
    ]
    sizes, total = compute_sizes(contents)
    return Listing(
        inventory=inventory,
        images=tuple(zip(inventory.images, sizes, strict=True)),
        total=total,
        signatures=tuple(
            key
            for name in bundle_signatures.read_signatures(bundle)
            if (key := bundle_paths.parse_signature_name(name))
        ),
        expired=inventory.is_expired(datetime.now(UTC)),
        omissions=graphs.find_omissions(present),
    )
