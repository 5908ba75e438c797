"""The options of ``verify`` and ``import`` that determine which signers of a bundle are trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.option import option_group, spec

if TYPE_CHECKING:
    from pathlib import Path

SECTION = "Trust"


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """The trusted keys or the trust file, and signatures that are stored elsewhere."""

    key_files: tuple[Path, ...] = ()
    threshold: int | None = None
    trust_file: Path | None = None
    signature_files: tuple[Path, ...] = ()


_KEYS = {
    "key_files": spec(
        "--key",
        multiple=True,
        type=common.PATH,
        metavar="FILE",
        help="Trust the signatures of this public key. May be repeated.",
    ),
    "threshold": spec(
        "--threshold",
        type=click.IntRange(1, 32),
        metavar="K",
        help="Require signatures by K of the given keys (default: 1).",
    ),
    "trust_file": spec(
        "--trust",
        type=common.PATH,
        metavar="FILE",
        help="Trust the keys of this trust file (default: that of the site, if no --key is given).",
    ),
}

key_trust = option_group(TrustOptions, "trust", SECTION, _KEYS)
"""The options for keys, in the parameter ``trust``."""

bundle_trust = option_group(
    TrustOptions,
    "trust",
    SECTION,
    _KEYS
    | {
        "signature_files": spec(
            "--signature",
            multiple=True,
            type=common.PATH,
            metavar="FILE",
            help="Also use this signature, such as one for a read-only bundle. May be repeated.",
        ),
    },
)
"""The options of the group, in the parameter ``trust``."""
