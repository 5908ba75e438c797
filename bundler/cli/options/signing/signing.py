"""Options of ``copy`` and ``sync`` that sign the copied images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.options.common import PATH
from bundler.cli.options.option import Decorated, option_group, spec
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.cli.runtime.context import CommandContext
    from bundler.cli.runtime.signing.image_signers import ImageSigners


@dataclass(frozen=True, slots=True)
class SigningOptions:
    """The signers of images, as given on the command line; None if unset."""

    gpg_key: str | None = None
    sq_key: str | None = None
    sigstore_parameters: Path | None = None
    sigstore_key: Path | None = None
    passphrase_file: Path | None = None
    identity: str | None = None

    def load_signers(self, context: CommandContext) -> ImageSigners:
        """Load the keys; prompt for a passphrase that is not read from a file.

        Raises:
            UsageError: the options are inconsistent, or a passphrase is wrong.
        """
        from bundler.cli.runtime.signing import image_signers, openpgp_signers  # noqa: PLC0415 - not for --help

        passphrase = None
        if self.passphrase_file is not None:
            users = {
                "--sign-by": self.gpg_key,
                "--sign-by-sq-fingerprint": self.sq_key,
                "--sign-by-sigstore-private-key": self.sigstore_key,
            }
            if sum(value is not None for value in users.values()) != 1:
                raise UsageError(
                    f"--sign-passphrase-file needs exactly one of {', '.join(users)}",
                )
            if self.sigstore_key is None:
                from bundler.cli.runtime.signing.signing_keys import read_passphrase  # noqa: PLC0415 - not for --help

                passphrase = read_passphrase(self.passphrase_file)
        signers: list[image_signers.CreateSigner] = []
        if self.sigstore_parameters is not None:
            signers.append(
                image_signers.load_sigstore_parameters(context, self.sigstore_parameters)
            )
        if self.sq_key is not None:
            signers.append(openpgp_signers.create_sq_signer(context, self.sq_key, passphrase))
        if self.gpg_key is not None:
            signers.append(openpgp_signers.create_gpg_signer(context, self.gpg_key, passphrase))
        if self.sigstore_key is not None:
            signers.append(
                image_signers.load_sigstore_key(context, self.sigstore_key, self.passphrase_file)
            )
        return image_signers.ImageSigners(tuple(signers))

    def parse_identity(self) -> str | None:
        """Return the reference to sign; None if the name at the destination is signed.

        Raises:
            UsageError: it is not a complete reference.
        """
        if self.identity is None:
            return None
        from bundler.oci.reference import ImageReference  # noqa: PLC0415 - not for --help

        image = ImageReference.parse(self.identity)
        if str(image) != self.identity or image.version is None:
            raise UsageError(
                f"--sign-identity: {self.identity[:200]!r} is not a complete reference"
                " (expected HOST/NAME:TAG or HOST/NAME@DIGEST)"
            )
        return self.identity


_SIGNERS = {
    "gpg_key": spec(
        "--sign-by",
        metavar="KEY",
        help="Sign with this key of gpg: a fingerprint, or another name of exactly one key.",
    ),
    "sq_key": spec(
        "--sign-by-sq-fingerprint",
        metavar="FINGERPRINT",
        help="Sign with this key of the key store of sq.",
    ),
    "sigstore_parameters": spec(
        "--sign-by-sigstore",
        metavar="FILE",
        type=PATH,
        help="Sign with the key, or with Fulcio and Rekor, that this parameter file names.",
    ),
    "sigstore_key": spec(
        "--sign-by-sigstore-private-key",
        metavar="FILE",
        type=PATH,
        help="Sign with this sigstore private key.",
    ),
    "passphrase_file": spec(
        "--sign-passphrase-file",
        metavar="FILE",
        type=PATH,
        help="Read the passphrase of the key from the first line of this file.",
    ),
}
_IDENTITY = {
    "identity": spec(
        "--sign-identity",
        metavar="REFERENCE",
        help="Sign this reference instead of the name at the destination.",
    ),
}


def sign_images(*, identity: bool) -> Callable[[Decorated], Decorated]:
    """Add the options that sign images; with ``identity``, also that of the reference to sign."""
    options = _SIGNERS | _IDENTITY if identity else _SIGNERS
    return option_group(SigningOptions, "signing", "Signing", options)
