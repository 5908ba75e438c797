"""Options that are shared by several commands and belong to no group."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli.options.option import OWN_SECTION, Decorated, option, option_group, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bundler.copy.image import ForeignLayerPolicy, ImageRequest, TagMovedAction


@dataclass(frozen=True, slots=True)
class ImagePolicies:
    """Options for all images, which take precedence over a bundle manifest; None if unset."""

    foreign_layers: ForeignLayerPolicy | None = None
    on_tag_moved: TagMovedAction | None = None

    def apply(self, images: Iterable[ImageRequest]) -> tuple[ImageRequest, ...]:
        """Return ``images`` with these options."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return tuple(replace(image, **given) for image in images)


PATH = click.Path(path_type=Path)

OUTPUT = "Output"
"""The section of options for additional or machine-readable output."""

as_json = option("--json", "as_json", is_flag=True, section=OUTPUT, help="Print one JSON document.")
"""``--json``, in the parameter ``as_json``."""

bundle_format = option(
    "--format",
    "bundle_format",
    type=click.Choice(["oci", "dir"]),
    default="oci",
    show_default=True,
    help="Format of the bundle: an OCI image layout, or a tree of dir: images.",
)
"""``--format`` of ``export`` and ``plan``, in the parameter ``bundle_format``."""


archive = option(
    "--archive",
    is_flag=True,
    help="Write one file, a tar archive (default: if DESTINATION ends with .airbundle).",
)
encrypt_to = option(
    "--encrypt-to",
    "recipients",
    multiple=True,
    metavar="RECIPIENT",
    help="Encrypt the archive with age for this recipient: age1…, a public key of SSH, or a file of"
    " them. DESTINATION is - or ends with .age. May be repeated.",
)
"""``--encrypt-to`` of ``export`` and ``relay``, in the parameter ``recipients``."""
identity = option(
    "--identity",
    "identity_files",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Decrypt an archive that was encrypted with age, with this file of identities or this"
    " private key of SSH. May be repeated.",
)
"""``--identity`` of commands that read an encrypted archive, in the parameter
``identity_files``."""

RENAME_RULES = spec(
    "--names",
    multiple=True,
    metavar="FROM=TO",
    help="Replace the prefix FROM of references by TO. May be repeated.",
)
"""``--names``, for option groups."""

image_policies = option_group(
    ImagePolicies,
    "policies",
    OWN_SECTION,
    {
        "foreign_layers": spec(
            "--foreign-layers",
            type=click.Choice(["fetch", "leave", "fail"]),
            help="Foreign layers that the registry does not have: download them from their URLs,"
            " leave them out, or fail (default: foreignLayers in MANIFEST, else leave them out and"
            " exit with 11).",
        ),
        "on_tag_moved": spec(
            "--on-tag-moved",
            type=click.Choice(["fail", "warn"]),
            help="If the tag of NAME:TAG@DIGEST points to another digest: fail, or take DIGEST and"
            " warn (default: onTagMoved in MANIFEST, else fail).",
        ),
    },
)
"""The options of ``export``, ``plan`` and ``lock`` for all images; their values are in
``policies``."""


def passphrase_file(effect: str) -> Callable[[Decorated], Decorated]:
    """``--passphrase-file``, in the parameter ``passphrase_file``; None if unset."""
    return option("--passphrase-file", type=PATH, help=effect)


@contextmanager
def suggest_keep_going(*, given: bool) -> Iterator[None]:
    """Add ``--keep-going`` to the hint if an image of a list does not exist."""
    from bundler.errors import MissingFileError, NotFoundError  # noqa: PLC0415 - not for --help

    try:
        yield
    except NotFoundError as error:
        if not given and not isinstance(error, MissingFileError):
            hints = filter(None, (error.hint, "add --keep-going to skip images that fail"))
            error.hint = "; ".join(hints)
        raise


@contextmanager
def suggest_repair(bundles: Sequence[Path]) -> Iterator[None]:
    """Replace the hint of an error about damage if the bundle has recovery data."""
    from bundler.errors import IntegrityError, UnreadableBundleError  # noqa: PLC0415 - as above

    try:
        yield
    except (IntegrityError, UnreadableBundleError) as error:
        bundle = next((bundle for bundle in bundles if (bundle / "recovery").is_dir()), None)
        if bundle is not None:
            error.hint = (
                f"repair it with its recovery data: airbundle repair {bundle} --key FILE.pub; on a"
                " medium that fails, add --output DIRECTORY"
            )
        raise


def jobs(
    effect: str = "Number of parallel transfers (default: 6).",
) -> Callable[[Decorated], Decorated]:
    """``--jobs``, in the parameter ``jobs``; None if unset."""
    return option("-j", "--jobs", metavar="N", type=click.IntRange(1, 64), help=effect)


def names(section: str) -> Callable[[Decorated], Decorated]:
    """``--names``, in the parameter ``rename_rules``."""
    spellings, attributes = RENAME_RULES
    return option(*spellings, "rename_rules", section=section, **attributes)


def dry_run(effect: str) -> Callable[[Decorated], Decorated]:
    """``--dry-run``, in the parameter ``dry_run``."""
    return option("--dry-run", is_flag=True, section=OUTPUT, help=effect)


def digestfile(effect: str) -> Callable[[Decorated], Decorated]:
    """``--digestfile``, in the parameter ``digestfile``; None if unset."""
    return option("--digestfile", metavar="FILE", type=PATH, section=OUTPUT, help=effect)


def parse_short_digest(text: str) -> str:
    """Return the hexadecimal digits of a value of ``--digest``, which may be abbreviated.

    Raises:
        UsageError: it has too few digits, or other characters.
    """
    from bundler.bundle.audit.images import MIN_DIGEST  # noqa: PLC0415 - not for --help
    from bundler.errors import UsageError  # noqa: PLC0415 - as above

    digits = text.removeprefix("sha256:").removeprefix("sha512:")
    if len(digits) < MIN_DIGEST or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(
            f"--digest {text[:80]!r}: not a digest (expected at least {MIN_DIGEST} digits)"
        )
    return digits
