"""Select the blobs that a bundle leaves out because its target has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.copy.image import ResolvedImage
    from bundler.oci.digest import Digest


def select_presupposed(
    request: ExportRequest, images: Sequence[ResolvedImage]
) -> Mapping[Digest, HeldBlob]:
    """Return the blobs of ``images`` that the bundle leaves out, because the target has them."""
    if not request.held:
        return {}
    from bundler.bundle.format.inventory import presupposed  # noqa: PLC0415 - only with holdings files

    return presupposed.select(images, request.held)
