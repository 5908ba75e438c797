"""The options of ``plan`` and ``export`` that name what the target already has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.option import option_group, spec

if TYPE_CHECKING:
    from pathlib import Path

SECTION = "Content that the target has"


@dataclass(frozen=True, slots=True)
class HaveOptions:
    """Holdings files, and the trust in their signers."""

    files: tuple[Path, ...] = ()
    key_files: tuple[Path, ...] = ()
    allow_unsigned: bool = False


have = option_group(
    HaveOptions,
    "have",
    SECTION,
    {
        "files": spec(
            "--have",
            multiple=True,
            type=common.PATH,
            metavar="FILE",
            help="Leave out the layers in this holdings file, which airbundle holdings wrote at the"
            " target. May be repeated: what one of the files lists is left out.",
        ),
        "key_files": spec(
            "--have-key",
            multiple=True,
            type=common.PATH,
            metavar="FILE",
            help="Trust holdings files that this public key signed (default: keys with the role"
            " receipt in the trust file of the site). May be repeated.",
        ),
        "allow_unsigned": spec(
            "--allow-unsigned-have",
            is_flag=True,
            help="Use holdings files without verifying their signatures.",
        ),
    },
)
"""The options of the group, in the parameter ``have``."""
