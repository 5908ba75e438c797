"""``airbundle show``: show the properties of an image of a bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.images import platforms
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bundler.bundle.audit.image_properties import ImageProperties
    from bundler.bundle.audit.location import Location

_WIDTH = 11  # of the longest label


@command("show", "airbundle show /media/stick/plant-7 prometheus:v2.53.1")
@location_arguments(location="LOCATION", image="[IMAGE]")
@platforms.one_platform
@option("--secrets", is_flag=True, help="Print texts that look like secrets.")
@access("the registry")
@key_trust
@common.as_json
@pass_context
def show(
    context: CommandContext,
    location: Location,
    image: str | None,
    *,
    platform: str | None,
    secrets: bool,
    access: AccessOptions,
    trust: TrustOptions,
    as_json: bool,
) -> None:
    """Show what IMAGE states about itself: user, command, environment, labels, history and more.

    LOCATION and IMAGE are specified as for files. The manifest and the config are verified; their
    statements are the author's. Texts that look like secrets are not printed. The base image is the
    one that annotations state, and another image of LOCATION whose layers are the first layers of
    IMAGE.
    """
    from bundler.bundle.audit.base_image import find_base_image  # noqa: PLC0415 - not for --help
    from bundler.bundle.audit.image_properties import read_properties  # noqa: PLC0415 - as above

    with opened_images.open_platform(
        context, location, image, platform, access, trust=trust
    ) as found:
        properties = read_properties(found.name, found.source, found.image)
        base = find_base_image(found.image, found.images.images, found.run.emit)
    if as_json:
        value = properties.to_json(secrets=secrets) | opened_images.describe_authentication(
            found.images
        )
        text.print_json(value | ({} if base is None else {"knownBase": base.to_json()}))
        return
    text.print_line(properties.name)
    for label, lines in _describe(properties if secrets else properties.hide_secrets()):
        for number, line in enumerate(lines):
            text.print_line(f"{'' if number else label:<{_WIDTH}} {line}")
    if base is not None:
        text.print_line(
            f"{'based on':<{_WIDTH}} {base.name}: it has the first"
            f" {text.count(base.layers, 'layer')} of {len(properties.layers)}"
        )


def _describe(image: ImageProperties) -> Iterator[tuple[str, Iterable[str]]]:
    yield "digest", [image.digest.text]
    yield "platform", [str(image.platform)]
    yield "created", [image.created or "not stated"]
    yield "author", [image.author] if image.author else []
    yield "user", [image.user or "root, since none is stated"]
    yield "entrypoint", [json.dumps(image.entrypoint)] if image.entrypoint else []
    yield "command", [json.dumps(image.command)] if image.command else []
    yield "directory", [image.working_directory] if image.working_directory else []
    yield "ports", [" ".join(image.ports)] if image.ports else []
    yield "volumes", image.volumes
    yield "environment", [f"{name}={value}" for name, value in image.environment]
    yield "labels", [f"{key}={value}" for key, value in sorted(image.labels.items())]
    yield "annotations", [f"{key}={value}" for key, value in sorted(image.annotations.items())]
    if image.base or image.base_digest:
        yield "base image", [" ".join(filter(None, (image.base, image.base_digest)))]
    yield (
        "history",
        [
            f"{step.created or '-'}"
            f"  {'no layer' if step.layer is None else text.format_size(step.layer.size):>10}"
            f"  {step.command}"
            for step in image.history
        ],
    )
