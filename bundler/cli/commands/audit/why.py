"""``airbundle why``: show why a bundle contains an image or other content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.listings.origins import Use
    from bundler.bundle.audit.location import Location

_WIDTH = 12  # of the longest label
_SHORT = 19  # "sha256:" and twelve digits, the usual short form of a digest


@command("why", "airbundle why /media/stick/plant-7 sha256:4f2d1c…")
@location_arguments(location="LOCATION", content="IMAGE|DIGEST")
@access("the registry")
@key_trust
@common.as_json
@pass_context
def why(
    context: CommandContext,
    location: Location,
    content: str,
    *,
    access: AccessOptions,
    trust: TrustOptions,
    as_json: bool,
) -> None:
    """Show who asked for IMAGE, or which images need the manifest, config or layer DIGEST.

    LOCATION is a bundle, the directories of all its volumes, or a reference as for copy. For an
    image of a bundle, the inventory states the file and line of the bundle manifest, or of a file
    that it includes, and the mirror that served the image. DIGEST may be abbreviated to 12 digits.
    """
    from bundler.bundle.audit.listings.origins import find_uses  # noqa: PLC0415 - not for --help

    with opened_images.open_images(context, location, access, trust) as (images, run):
        uses = find_uses(images, content, run.emit)
    if as_json:
        value = opened_images.describe_authentication(images)
        text.print_json({**value, "images": [use.to_json() for use in uses]})
        return
    for use in uses:
        text.print_line(use.image.name)
        for label, line in _describe(use):
            text.print_line(f"  {label:<{_WIDTH}} {line}")


def _describe(use: Use) -> Iterator[tuple[str, str]]:
    listed = use.image.listed
    steps = []
    for step in use.path:
        node = step.node
        kind = "index" if node.is_index else node.kind
        parts = ["referrer" if step.is_referrer else kind, node.descriptor.digest.text[:_SHORT]]
        parts += [str(node.descriptor.platform)] if node.descriptor.platform else []
        parts += [node.artifact_type] if node.artifact_type else []
        steps.append(" ".join(parts))
    if steps:
        yield "needed as", " > ".join(steps)
    if listed is None:
        return
    yield "digest", listed.digest.text
    others = ""
    if use.images_of_line > 1:
        others = f" (this line requested {use.images_of_line} images of the bundle)"
    yield "requested at", (listed.origin or "not recorded") + others
    if listed.source is not None:
        yield "served by", listed.source
    if listed.platforms:
        yield "platforms", " ".join(listed.platforms)
    if listed.replaces is not None:
        yield "replaces", f"{listed.replaces}, the index with all platforms"
    elif listed.index is not None:
        yield "index", listed.index
    if listed.rename is not None:
        yield "rename", listed.rename
    for label in dict.fromkeys(item.label for item in listed.verified):
        yield "verified", label
    if not listed.verified:
        yield "signatures", "none verified by the exporting side"
