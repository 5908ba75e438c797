"""Options that convert manifests and layers while they are copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import click

from bundler.cli.options.option import flag, option_group, refuse_conflicts, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.cli.runtime.context import CommandContext
    from bundler.copy.convert.options import Algorithm, ConversionOptions, ManifestFormat


@dataclass(frozen=True, slots=True)
class ImageConversionOptions:
    """Conversions of manifests and layers, as given on the command line; None if unset."""

    manifest_format: str | None = None
    preserve_digests: bool = False
    keep_fixed_images: bool = False
    """Not an option: as in Skopeo, see ``ConversionOptions``."""
    remove_signatures: bool = False
    remove_list_signatures: bool = False
    compress: bool = False
    decompress: bool = False
    compress_format: str | None = None
    compress_level: int | None = None
    force_compress_format: bool = False
    compress_uncompressed: bool = False
    oci_accept_uncompressed_layers: bool = False
    precompute_digests: bool = False
    encryption_keys: tuple[str, ...] = ()
    encrypted_layers: tuple[int, ...] = ()
    decryption_keys: tuple[str, ...] = ()

    @property
    def signatures(self) -> Literal["all", "images", "none"]:
        """The signatures to copy."""
        if self.remove_signatures:
            return "none"
        return "images" if self.remove_list_signatures else "all"

    def create_options(self, context: CommandContext) -> ConversionOptions:
        """Return the options for the engine; ``context`` locates the key providers.

        Raises:
            UsageError: if options are mutually exclusive.
        """
        from bundler.copy.convert.options import (  # noqa: PLC0415 - not for --help
            DIGESTS_PRESERVED,
            ConversionOptions,
            Encryption,
        )

        if self.encrypted_layers and not self.encryption_keys:
            raise UsageError("--encrypt-layer needs --encryption-key")
        refuse_conflicts(
            {"--encryption-key": self.encryption_keys, "--decryption-key": self.decryption_keys}
        )
        compress = self.compress or self.compress_format is not None
        refuse_conflicts({"--dest-decompress": self.decompress, "--dest-compress": compress})
        if self.force_compress_format and self.compress_format is None:
            raise UsageError("--dest-force-compress-format needs --dest-compress-format")
        encryption = decryption = None
        if self.encryption_keys or self.decryption_keys:
            from bundler.trust.ocicrypt import recipients  # noqa: PLC0415 - loads cryptography

            key_providers = context.environment.find_path("OCICRYPT_KEYPROVIDER_CONFIG")
            if self.encryption_keys:
                encrypt = recipients.create_encryptor(
                    self.encryption_keys, key_providers, context.cancellation
                )
                encryption = Encryption(encrypt, self.encrypted_layers)
            else:
                with context.run() as run:
                    decryption = recipients.create_decryptor(
                        self.decryption_keys, key_providers, run.cancellation
                    )
        compression = "none" if self.decompress else self.compress_format
        return ConversionOptions(
            manifest_format=cast("ManifestFormat | None", self.manifest_format),
            compression=cast("Algorithm | None", compression or ("gzip" if compress else None)),
            only_uncompressed=compress and self.compress_format is None,
            level=self.compress_level,
            force_compression=self.force_compress_format,
            compress_uncompressed=self.compress_uncompressed,
            accept_uncompressed=self.oci_accept_uncompressed_layers,
            precompute=self.precompute_digests,
            encryption=encryption,
            decryption=decryption,
            keep_fixed_images=self.keep_fixed_images,
            fixed_reason=DIGESTS_PRESERVED if self.preserve_digests else None,
        )


_SECTION = "Conversion"
_MANIFESTS = {
    "manifest_format": spec(
        "-f",
        "--format",
        type=click.Choice(["oci", "v2s2", "v2s1"]),
        help="Convert manifests to this format (default: unchanged).",
    ),
    "preserve_digests": flag("--preserve-digests", "Fail if a digest would change."),
    "remove_signatures": flag("--remove-signatures", "Do not copy signatures."),
    "remove_list_signatures": flag(
        "--remove-list-signatures", "Do not copy the signatures of indexes."
    ),
}
_LAYERS = {
    "compress": flag("--dest-compress", "Compress layers that are not compressed."),
    "decompress": flag("--dest-decompress", "Decompress all layers."),
    "compress_format": spec(
        "--dest-compress-format",
        type=click.Choice(["gzip", "zstd", "zstd:chunked"]),
        help="Recompress all layers with this algorithm.",
    ),
    "compress_level": spec(
        "--dest-compress-level",
        type=int,
        metavar="N",
        help="Compression level: gzip 1 to 9, zstd 1 to 20.",
    ),
    "force_compress_format": flag(
        "--dest-force-compress-format",
        "Recompress even if the destination has the layer with a different compression.",
    ),
    "oci_accept_uncompressed_layers": flag(
        "--dest-oci-accept-uncompressed-layers",
        "Keep uncompressed layers of an archive uncompressed in a layout.",
    ),
    "precompute_digests": flag(
        "--dest-precompute-digests",
        "Compress to a temporary file first, and skip the upload if the destination has the"
        " result.",
    ),
}
_ENCRYPTION = {
    "encryption_keys": spec(
        "--encryption-key",
        section="Encryption",
        metavar="PROTOCOL:KEY",
        multiple=True,
        help="Encrypt layers for this recipient. May be repeated.",
    ),
    "encrypted_layers": spec(
        "--encrypt-layer",
        section="Encryption",
        metavar="N",
        type=int,
        multiple=True,
        help="Encrypt only layer N: 0 is the first, -1 the last. May be repeated.",
    ),
    "decryption_keys": spec(
        "--decryption-key",
        section="Encryption",
        metavar="KEY[:PASSWORD]",
        multiple=True,
        help="Decrypt layers with this key. May be repeated.",
    ),
}

convert_manifests = option_group(ImageConversionOptions, "conversion", _SECTION, _MANIFESTS)
"""The options that convert manifests; their values are in ``conversion``."""

convert_images = option_group(
    ImageConversionOptions, "conversion", _SECTION, _MANIFESTS | _LAYERS | _ENCRYPTION
)
"""The options that convert manifests and layers; their values are in ``conversion``."""
