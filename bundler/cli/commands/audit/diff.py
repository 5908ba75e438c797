"""``airbundle diff``: compare bundles, images, and a bundle with its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.images import platforms
from bundler.cli.options.import_names import ImportNameOptions, import_names
from bundler.cli.options.option import option, refuse_conflicts
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images
from bundler.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from bundler.bundle.audit.location import Location
    from bundler.cli.runtime.inspecting.comparison import Difference


@command("diff", "airbundle diff /media/stick/plant-7 docker://registry.plant:5000")
@location_arguments(old="A", new="B", image="[IMAGE]", other_image="[OTHER_IMAGE]")
@option("--no-files", is_flag=True, help="Compare two images without reading their layers.")
@option("--deep", is_flag=True, help="Read and hash every blob at the target.")
@option(
    "--extra",
    is_flag=True,
    help="Also report names and repositories below the prefix of the target that A does not have.",
)
@platforms.one_platform
@option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "markdown"]),
    section=common.OUTPUT,
    help="Form of the output (default: text).",
)
@common.as_json
@import_names
@cache_options
@access("the registry")
@key_trust
@pass_context
def diff(
    context: CommandContext,
    old: Location,
    new: Location,
    *,
    image: str | None,
    other_image: str | None,
    no_files: bool,
    deep: bool,
    extra: bool,
    platform: str | None,
    output_format: str | None,
    as_json: bool,
    names: ImportNameOptions,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
) -> None:
    """Compare A with B; the exit status is 0 if they are the same, 12 if they differ.

    A and B are bundles, also the directories of all volumes of one, bundle.json files, receipts or
    references: their images are compared by
    name. If both are references to one image, or IMAGE is given (and OTHER_IMAGE, if its name in B
    differs), two images are compared: config, labels, layers, packages, files, and new bytes.

    docker://HOST[:PORT]/[PREFIX/], with a slash at the end, is a list of all images below it, which
    are compared by their names without the prefix. The registry must list its repositories.

    If A is a bundle and B is a target as for import, the command checks that the target has all
    names, manifests, referrers and blobs of the bundle.
    """
    refuse_conflicts({"--json": as_json, "--format": output_format})
    # Locations of other forms than that of a target are compared by names.
    texts = (str(old), str(new))
    may_be_target = texts[1].startswith(("docker:", "atomic:", "oci:", "dir:")) or new.is_path
    is_target = image is None and old.is_bundle and not _is_list(new) and may_be_target
    in_registry = [text for text in texts if text.startswith(("docker://", "atomic:"))]
    prefixes = [text for text in in_registry if text.endswith("/")]
    if prefixes and not is_target and (image is not None or _is_list(old) or _is_list(new)):
        raise UsageError(
            f"{prefixes[0]}: all images below it are compared with another registry, a layout or an"
            " archive only",
            hint="to compare a bundle with a registry: airbundle diff BUNDLE TARGET",
        )
    if not is_target:
        target_options = {
            "--deep": deep,
            "--extra": extra,
            "--names": names.rename_rules,
            "--keep-host": names.keep_host,
        }
        for name in (name for name, value in target_options.items() if value):
            raise UsageError(f"{name} applies to a bundle and a target only")
    trusted = opened_images.read_trust(context, trust)
    if trusted is not None and not (old.is_bundle or new.is_bundle):
        raise UsageError("neither A nor B is a bundle with signatures to verify")
    from bundler.cli.output import differences  # noqa: PLC0415 - not for --help
    from bundler.cli.runtime.inspecting.comparison import Comparison  # noqa: PLC0415 - as above

    with context.run() as run:
        comparison = Comparison(run, access, trusted, cache)
        difference: Difference
        if is_target:
            difference = comparison.compare_target(old, texts[1], names, deep=deep, extra=extra)
        elif image is not None or not (prefixes or _is_list(old) or _is_list(new)):
            pair = (image, other_image or image)
            try:
                difference = comparison.compare_images(old, new, pair, platform, files=not no_files)
            except NotFoundError as error:
                if len(in_registry) == len(texts):
                    a, b = (text.rstrip("/") for text in texts)
                    error.hint = (
                        "check the name; to compare all images below a prefix, write a slash at"
                        f" the end: {a}/ {b}/"
                    )
                raise
        else:
            difference = comparison.compare_lists(old, new, names.parse_patterns())
    differences.print_difference(
        difference,
        "json" if as_json else output_format or "text",
        is_authenticated=trusted is not None if _is_list(old) or _is_list(new) else None,
    )
    differences.check(difference, *texts)


def _is_list(location: Location) -> bool:
    """Whether ``location`` is a bundle, or the file of an inventory or a receipt."""
    is_here = location.is_path or location.paths[0].exists()
    return is_here and location.paths[0].suffix not in (".yaml", ".yml")
