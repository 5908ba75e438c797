"""Options that select platforms of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options.option import flag, option, option_group, refuse_conflicts, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.copy.resolving.platform_selection import PlatformSelection
    from bundler.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class PlatformOptions:
    """The images of an index to copy, as given on the command line."""

    everything: bool = False
    platforms: tuple[str, ...] = ()
    multi_arch: str | None = None
    strip_removed_platforms: bool = False

    def create_selection(self, system: Callable[[], Platform]) -> PlatformSelection:
        """Return the selection for the engine; ``system`` returns this machine's platform.

        Raises:
            UsageError: if options are mutually exclusive, or a platform is malformed.
        """
        from bundler.copy.resolving.platform_selection import EVERYTHING, PlatformSelection  # noqa: PLC0415 - not for --help
        from bundler.oci.platform import Platform  # noqa: PLC0415 - as above

        refuse_conflicts(
            {
                "--all": self.everything,
                "--platform": self.platforms,
                "--multi-arch": self.multi_arch,
            }
        )
        several = "/" in (self.multi_arch or "")
        if self.strip_removed_platforms and not several:
            raise UsageError("--strip-removed-platforms needs --multi-arch OS/ARCH,…")
        if several:
            parts = (self.multi_arch or "").split(",")
            platforms = tuple(Platform.parse(part) for part in parts)
            if any(platform.variant for platform in platforms):
                raise UsageError(
                    "--multi-arch: expected OS/ARCH without a variant; all variants are copied"
                )
            if self.strip_removed_platforms:
                return PlatformSelection(platforms, "strip", variants=True)
            return PlatformSelection(platforms, "sparse", variants=True)
        match self.multi_arch:
            case None:
                return PlatformSelection(tuple(map(Platform.parse, self.platforms)))
            case "all":
                return EVERYTHING
            case "system":
                return PlatformSelection(best=system())
            case "index-only":
                return PlatformSelection(index_only=True)
            case other:
                raise UsageError(
                    f"--multi-arch: unknown value {other[:80]!r}",
                    hint="use system, all, index-only, or OS/ARCH,OS/ARCH",
                )


platforms = option_group(
    PlatformOptions,
    "platforms",
    "Platforms",
    {
        "everything": spec("-a", "--all", is_flag=True, help="Copy all platforms (the default)."),
        "platforms": spec(
            "--platform",
            metavar="OS/ARCH[/VARIANT]",
            multiple=True,
            help="Copy only this platform. If repeated, write a new index of the given platforms.",
        ),
        "multi_arch": spec(
            "--multi-arch",
            metavar="system|all|index-only|OS/ARCH,…",
            help="Copy this machine's platform, all platforms, the index only, or all variants of"
            " the given platforms.",
        ),
        "strip_removed_platforms": flag(
            "--strip-removed-platforms",
            "Also remove from the index the platforms that --multi-arch does not select.",
        ),
    },
)
"""The options that select platforms; their values are in ``platforms``."""

one_platform = option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="Select the image for this platform from an index (default: this machine's).",
)
"""``--platform``, in the parameter ``platform``; None if unset."""

any_platform = option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="Read only the image for this platform from an index (default: all platforms).",
)
"""``--platform`` of commands that read all platforms, in the parameter ``platform``."""
