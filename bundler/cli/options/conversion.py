"""The options that ask for images in another form, or for a part of them only."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import click

from bundler.cli.options.go_bool import GoBoolOption
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.content.streams.reader import Reader
    from bundler.copy.convert.options import (
        Algorithm,
        ConversionOptions,
        Encryption,
        ManifestFormat,
    )
    from bundler.copy.platform_selection import Selection
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.platform import Platform

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

_ALGORITHMS = ("gzip", "zstd", "zstd:chunked")


@dataclass(frozen=True, slots=True)
class ConversionFlags:
    """What the command line asks of manifests and layers; None: nothing."""

    manifest_format: str | None = None
    preserve_digests: bool = False
    remove_signatures: bool = False
    remove_list_signatures: bool = False
    compress: bool = False
    decompress: bool = False
    compress_format: str | None = None
    compress_level: int | None = None
    force_compress_format: bool = False
    compress_uncompressed: bool | None = None
    oci_accept_uncompressed_layers: bool = False
    precompute_digests: bool = False
    encryption_keys: tuple[str, ...] = ()
    encrypted_layers: tuple[int, ...] = ()
    decryption_keys: tuple[str, ...] = ()

    @property
    def signatures(self) -> Literal["all", "images", "none"]:
        """Which signatures come along."""
        if self.remove_signatures:
            return "none"
        return "images" if self.remove_list_signatures else "all"

    def changes(self) -> ConversionOptions:
        """The same for the engine.

        Raises:
            UsageError: options that contradict one another.
        """
        from bundler.copy.convert.options import ConversionOptions  # noqa: PLC0415 - not for --help

        if self.encrypted_layers and not self.encryption_keys:
            raise UsageError("--encrypt-layer needs --encryption-key")
        if self.encryption_keys and self.decryption_keys:
            raise UsageError("--encryption-key and --decryption-key exclude one another")
        wanted = self.compress or self.compress_format is not None
        if self.decompress and wanted:
            raise UsageError("--dest-decompress and --dest-compress exclude one another")
        if self.force_compress_format and self.compress_format is None:
            raise UsageError("--dest-force-compress-format needs --dest-compress-format")
        compression = "none" if self.decompress else self.compress_format
        return ConversionOptions(
            manifest_format=cast("ManifestFormat | None", self.manifest_format),
            compression=cast("Algorithm | None", compression or ("gzip" if wanted else None)),
            only_uncompressed=wanted and self.compress_format is None,
            level=self.compress_level,
            force_compression=self.force_compress_format,
            compress_uncompressed=bool(self.compress_uncompressed),
            accept_uncompressed=self.oci_accept_uncompressed_layers,
            precompute=self.precompute_digests,
            encryption=self._encryption(),
            decryption=self._decryption(),
            fixed_reason="instructed to preserve digests" if self.preserve_digests else None,
        )

    def _encryption(self) -> Encryption | None:
        if not self.encryption_keys:
            return None
        from bundler.copy.convert.options import Encryption  # noqa: PLC0415 - as above
        from bundler.trust.ocicrypt import recipients  # noqa: PLC0415 - loads cryptography

        seal = recipients.sealing(self.encryption_keys, _key_providers())
        return Encryption(seal, self.encrypted_layers)

    def _decryption(self) -> Callable[[Reader, Descriptor], Reader] | None:
        if not self.decryption_keys:
            return None
        from bundler.trust.ocicrypt import recipients  # noqa: PLC0415 - loads cryptography

        return recipients.unsealing(self.decryption_keys, _key_providers())


@dataclass(frozen=True, slots=True)
class PlatformOptions:
    """Which images of a list the command line asks for."""

    everything: bool = False
    platforms: tuple[str, ...] = ()
    multi_arch: str | None = None
    strip_removed_platforms: bool = False

    def selection(self, system: Callable[[], Platform]) -> Selection:
        """The same for the engine.

        Args:
            system: tells the platform that an image is chosen for where none is named.

        Raises:
            UsageError: options that contradict one another, or no platform.
        """
        from bundler.copy.platform_selection import EVERYTHING, Selection  # noqa: PLC0415 - not for --help
        from bundler.oci.platform import Platform  # noqa: PLC0415 - as above

        said = {
            "--all": self.everything,
            "--platform": bool(self.platforms),
            "--multi-arch": self.multi_arch is not None,
        }
        given = [name for name, present in said.items() if present]
        if len(given) > 1:
            raise UsageError(f"{given[0]} and {given[1]} exclude one another")
        several = "/" in (self.multi_arch or "")
        if self.strip_removed_platforms and not several:
            raise UsageError("--strip-removed-platforms needs --multi-arch OS/ARCH,…")
        if several:
            parts = (self.multi_arch or "").split(",")
            platforms = tuple(Platform.parse(part) for part in parts)
            if any(platform.variant for platform in platforms):
                raise UsageError("--multi-arch: write OS/ARCH: all variants of it are copied")
            if self.strip_removed_platforms:
                return Selection(platforms, "strip", variants=True)
            return Selection(platforms, "sparse", variants=True)
        match self.multi_arch:
            case None:
                return Selection(tuple(map(Platform.parse, self.platforms)))
            case "all":
                return EVERYTHING
            case "system":
                return Selection(best=system())
            case "index-only":
                return Selection(index_only=True)
            case other:
                raise UsageError(
                    f"--multi-arch: {other[:80]!r} is not known",
                    hint="write system, all, index-only, or OS/ARCH,OS/ARCH",
                )


def manifests(function: Decorated) -> Decorated:
    """Options for the form of manifests alone, gathered in the parameter ``form``."""
    return _gathered(ConversionFlags, "form", _MANIFESTS)(function)


def manifests_and_layers(function: Decorated) -> Decorated:
    """All options for the form of what is copied, gathered in the parameter ``form``."""
    return _gathered(ConversionFlags, "form", {**_MANIFESTS, **_LAYERS})(function)


def platforms(function: Decorated) -> Decorated:
    """Options that choose from lists, gathered in the parameter ``choice``."""
    return _gathered(PlatformOptions, "choice", _PLATFORMS)(function)


def _key_providers() -> Path | None:
    """The file that says which programs wrap keys."""
    path = os.environ.get("OCICRYPT_KEYPROVIDER_CONFIG")  # noqa: TID251 - the command line's task
    return Path(path) if path else None


def _gathered(
    kind: type, parameter: str, options: dict[str, tuple[tuple[str, ...], dict[str, Any]]]
) -> Callable[[Decorated], Decorated]:
    def decorate(function: Decorated) -> Decorated:
        @functools.wraps(function)
        def gather(*arguments: Any, **given: Any) -> Any:  # noqa: ANN401
            values = {name: given.pop(name) for name in options}
            return function(*arguments, **{parameter: kind(**values)}, **given)

        for name, (spellings, settings) in reversed(options.items()):
            gather = click.option(*spellings, name, **settings)(gather)
        return gather  # type: ignore[return-value]

    return decorate


_MANIFESTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "manifest_format": (
        ("-f", "--format"),
        {
            "type": click.Choice(["oci", "v2s2", "v2s1"]),
            "help": "Write manifests of this format; as they are if not said.",
        },
    ),
    "preserve_digests": (
        ("--preserve-digests",),
        {"is_flag": True, "help": "Fail rather than change a digest."},
    ),
    "remove_signatures": (
        ("--remove-signatures",),
        {"is_flag": True, "help": "Leave signatures behind."},
    ),
    "remove_list_signatures": (
        ("--remove-list-signatures",),
        {"is_flag": True, "help": "Leave the signatures of lists behind."},
    ),
}
_LAYERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "compress": (
        ("--dest-compress",),
        {"is_flag": True, "help": "Compress layers that are not compressed."},
    ),
    "decompress": (("--dest-decompress",), {"is_flag": True, "help": "Decompress all layers."}),
    "compress_format": (
        ("--dest-compress-format",),
        {"type": click.Choice(_ALGORITHMS), "help": "Compress all layers so."},
    ),
    "compress_level": (
        ("--dest-compress-level",),
        {"type": int, "metavar": "N", "help": "How hard: gzip 1 to 9, zstd 1 to 20."},
    ),
    "force_compress_format": (
        ("--dest-force-compress-format",),
        {"is_flag": True, "help": "Also what the destination has in another form."},
    ),
    "compress_uncompressed": (
        ("--dest-compress-uncompressed",),
        {"cls": GoBoolOption, "hidden": True},
    ),
    "oci_accept_uncompressed_layers": (
        ("--dest-oci-accept-uncompressed-layers",),
        {"is_flag": True, "help": "Let an archive's layers be uncompressed in a layout too."},
    ),
    "precompute_digests": (
        ("--dest-precompute-digests",),
        {"is_flag": True, "help": "Compress into a file first: perhaps it is there already."},
    ),
    "encryption_keys": (
        ("--encryption-key",),
        {"metavar": "PROTOCOL:KEY", "multiple": True, "help": "Encrypt layers for this key."},
    ),
    "encrypted_layers": (
        ("--encrypt-layer",),
        {
            "metavar": "N",
            "type": int,
            "multiple": True,
            "help": "Only this one, from 0, or from the end with a minus.",
        },
    ),
    "decryption_keys": (
        ("--decryption-key",),
        {"metavar": "KEY[:PASSWORD]", "multiple": True, "help": "Decrypt layers by this key."},
    ),
}
_PLATFORMS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "everything": (
        ("-a", "--all"),
        {"is_flag": True, "help": "All platforms; this is the default."},
    ),
    "platforms": (
        ("--platform",),
        {
            "metavar": "OS/ARCH[/VARIANT]",
            "multiple": True,
            "help": "Only this platform; given several times, an index with these and a new"
            " digest.",
        },
    ),
    "multi_arch": (
        ("--multi-arch",),
        {
            "metavar": "system|all|index-only|OS/ARCH,…",
            "help": "This machine's platform, all, the index alone, or all variants of some.",
        },
    ),
    "strip_removed_platforms": (
        ("--strip-removed-platforms",),
        {"is_flag": True, "help": "Drop what --multi-arch leaves out from the index too."},
    ),
}
