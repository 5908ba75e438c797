"""``airbundle tree``: show the content of images as a tree."""

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

    from bundler.bundle.audit.listings.tree import ContentNode
    from bundler.bundle.audit.location import Location

_SHORT = 19  # "sha256:" and twelve digits, the usual short form of a digest


@command("tree", "airbundle tree /media/stick/plant-7 prometheus:v2.53.1")
@location_arguments(location="LOCATION", image="[IMAGE]")
@access("the registry")
@key_trust
@common.as_json
@pass_context
def tree(
    context: CommandContext,
    location: Location,
    image: str | None,
    *,
    access: AccessOptions,
    trust: TrustOptions,
    as_json: bool,
) -> None:
    """Show the content of images: indexes, platforms, layers, and what refers to them.

    LOCATION and IMAGE are specified as for files; without IMAGE, all images of LOCATION are shown.
    Only manifests are read and verified.
    """
    from bundler.bundle.audit.listings.tree import create_tree  # noqa: PLC0415 - not for --help

    with opened_images.open_images(context, location, access, trust) as (images, run):
        selected = images.images if image is None else [images.find(image)]
        trees = [
            (item.name, create_tree(item.resolve(run.emit, referrers=True))) for item in selected
        ]
    if as_json:
        roots = [{"name": name, "root": root.to_json()} for name, root in trees]
        text.print_json({**opened_images.describe_authentication(images), "images": roots})
        return
    for name, root in trees:
        text.print_line(name)
        for line in _format(root, "", "", ""):
            text.print_line(line)


def _format(node: ContentNode, first: str, rest: str, label: str) -> Iterator[str]:
    """Yield a line for a node and for each one below it.

    ``first`` is printed before the node, ``rest`` before its children, ``label`` before its kind.
    """
    kind = "index" if node.is_index else node.kind
    platform = node.descriptor.platform
    facts = [f"{label}{kind}", node.descriptor.digest.text[:_SHORT]]
    facts += [text.format_size(node.descriptor.size)] if node.descriptor.size >= 0 else []
    facts += [str(platform)] if platform is not None else []
    facts += [node.artifact_type] if node.artifact_type is not None else []
    facts += ["not in the bundle"] if not node.in_bundle else []
    yield first + "  ".join(facts)
    below = [("", child) for child in node.children]
    below += [("referrer: ", referrer) for referrer in node.referrers]
    for number, (child_label, child) in enumerate(below, 1):
        branch, line = ("└─ ", "   ") if number == len(below) else ("├─ ", "│  ")
        yield from _format(child, rest + branch, rest + line, child_label)
