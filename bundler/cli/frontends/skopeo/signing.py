"""Keys and signers of images, as Skopeo's flags specify them."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo.messages import local_errors
from bundler.cli.runtime.prompts import raise_if_interrupted
from bundler.cli.runtime.signing.image_signers import (
    ImageSigners,
    PassphraseInput,
    load_sigstore_key,
    load_sigstore_parameters,
)
from bundler.cli.runtime.signing.oidc_login import LoginDialog
from bundler.cli.runtime.signing.openpgp_signers import create_gpg_signer, create_sq_signer
from bundler.errors import (
    BundlerError,
    CancelledError,
    ConfigError,
    LoginError,
    MediumError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.gocompat import values
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.cli.runtime.context import CommandContext
    from bundler.cli.runtime.signing.image_signers import CreateSigner

_MAX_CODE = 4096  # characters
_PASSPHRASE_USERS = ("sign-by", "sign-by-sq-fingerprint", "sign-by-sigstore-private-key")


def load_signers(line: CommandLine, context: CommandContext) -> ImageSigners:
    """Return the signers that the flags of ``copy`` or ``sync`` specify.

    Raises:
        UsageError: a signer cannot be created; with Skopeo's message.
    """
    passphrase_file = line.path("sign-passphrase-file")
    if passphrase_file is not None and sum(bool(line.text(name)) for name in _PASSPHRASE_USERS) > 1:
        raise UsageError(
            "Only one of --sign-by, --sign-by-sq-fingerprint and --sign-by-sigstore-private-key"
            " can be used with --sign-passphrase-file"
        )
    signers: list[CreateSigner] = []
    if (parameters := line.path("sign-by-sigstore")) is not None:
        try:
            signers.append(load_sigstore_parameters(context, parameters, PASSPHRASES, DIALOG))
        except CancelledError:
            raise
        except BundlerError as error:
            reason = local_errors.describe_open_error(error, str(parameters))
            if reason is not None:
                path = quote(str(parameters))
                reason = f"setting up signing using parameter file {path}: reading {path}: {reason}"
            elif isinstance(error, LoginError):
                is_refused = error.code in ("access_denied", "expired_token")
                problem = f"error obtaining token: {error.code}" if is_refused else error.message
                reason = f"Error authenticating with OIDC: {problem}"
            message = f"Error using --sign-by-sigstore: {reason or error.message}"
            raise UsageError(message) from None
    signers += _create_openpgp_signers(line, context, passphrase_file)
    if (key := line.path("sign-by-sigstore-private-key")) is not None:
        try:
            signers.append(load_sigstore_key(context, key, passphrase_file, PASSPHRASES))
        except NotFoundError as error:
            reason = f"open {key}: no such file or directory"
            raise UsageError(f"reading private key from {key}: {reason}", path=error.path) from None
        except UsageError as error:
            if error.path != str(key) or isinstance(error, ConfigError):
                raise
            raise UsageError(
                "initializing private key: decrypt: encrypted: decryption failed"
            ) from None
    return ImageSigners(tuple(signers))


def _create_openpgp_signers(
    line: CommandLine, context: CommandContext, passphrase_file: Path | None
) -> Iterator[CreateSigner]:
    flags: dict[str, tuple[Callable[[CommandContext, str, bytes | None], CreateSigner], str]] = {
        "sign-by-sq-fingerprint": (create_sq_signer, "Error using --sign-by-sq-fingerprint"),
        "sign-by": (create_gpg_signer, "initializing GPG"),
    }
    for name, (create, front) in flags.items():
        if not line.text(name):
            continue
        passphrase = None if passphrase_file is None else PASSPHRASES.read(passphrase_file)
        try:
            yield create(context, line.text(name), passphrase)
        except UnsupportedError as error:
            raise UsageError(f"{front}: {error.message}") from None


def generate_sigstore_key(context: CommandContext, line: CommandLine) -> None:  # noqa: ARG001 - as all commands
    """Write a key pair, and print the paths.

    Raises:
        UsageError: with Skopeo's message.
    """
    prefix = line.path("output-prefix")
    if line.arguments or prefix is None:
        raise UsageError("Usage: generate-sigstore-key --output-prefix PREFIX")
    public, private = (prefix.with_name(f"{prefix.name}{end}") for end in (".pub", ".private"))
    for path in (public, private):
        try:
            path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            reason = f"stat {path}: {(error.strerror or '').lower()}"
            raise UsageError(f"Error checking existence of {quote(str(path))}: {reason}") from None
        raise UsageError(f"Refusing to overwrite existing {quote(str(path))}")
    passphrase = PASSPHRASES.obtain(private, line.path("passphrase-file"))
    from bundler.trust import keys  # noqa: PLC0415 - loads cryptography

    try:
        keys.write_key_pair(
            prefix, keys.generate_key(), passphrase, suffix=".private", label="COSIGN"
        )
    except MediumError as error:
        reason = local_errors.describe_open_error(error, error.path or "") or error.message
        failed = quote(error.path or str(private))
        raise UsageError(f"Error writing private key to {failed}: {reason}") from None
    sys.stdout.write(f"Key written to {quote(str(private))} and {quote(str(public))}\n")


def standalone_sign(context: CommandContext, line: CommandLine) -> None:
    """Sign the manifest in a file; print nothing."""
    from bundler.cli.commands.images.standalone_sign import write_signature  # noqa: PLC0415 - as needed

    manifest, reference, key = line.arguments
    passphrase_file = line.path("passphrase-file")
    passphrase = None if passphrase_file is None else PASSPHRASES.read(passphrase_file)
    if not reference:
        raise UsageError("Error creating signature: Unexpected empty signature content")
    create = create_gpg_signer(context, key, passphrase, try_first=False)
    write_signature(context, Path(manifest), reference, create, Path(line.text("output")))


def standalone_verify(context: CommandContext, line: CommandLine) -> None:
    """Verify a signature in a file, and print the signer."""
    from bundler.cli.commands.images.standalone_verify import (  # noqa: PLC0415 - as above
        VerificationInput,
        verify_files,
    )

    manifest, reference, fingerprints, signature = line.arguments
    keys = line.path("public-key-file")
    if keys is None and fingerprints == "any":
        raise UsageError("Cannot use any fingerprint without a public key file")
    files = VerificationInput(Path(manifest), Path(signature), keys)
    signer, digest = verify_files(context, files, reference, tuple(fingerprints.split(",")))
    sys.stdout.write(f"Signature verified using fingerprint {signer}, digest {digest}\n")


def dump_signature(context: CommandContext, line: CommandLine) -> None:
    """Print what a signature states, unverified."""
    from bundler.cli.commands.images.signature_dump import read_signature  # noqa: PLC0415 - as above

    statements = read_signature(context, Path(line.arguments[0]))
    fields = (
        values.StructField(name, values.NIL if value is None else value)
        for name, value in statements.items()
    )
    struct = values.Struct("UntrustedSignatureInformation", tuple(fields))
    sys.stdout.write(f"{values.encode_json(struct, indent=4)}\n")


def _read_passphrase(path: Path) -> bytes:
    """Read the first line without its line feed; a carriage return belongs to the passphrase."""
    try:
        with path.open("rb") as file:
            return file.readline(1 << 20).removesuffix(b"\n")
    except OSError as error:
        raise UsageError(f"open {path}: {(error.strerror or '').lower()}") from None


def _prompt(key: Path) -> bytes:
    """Prompt on stdout, as Skopeo does."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"Cannot prompt for a passphrase for key {key}, standard input is not a TTY"
        )
    from getpass import getpass  # noqa: PLC0415 - rarely needed

    sys.stdout.write(f"Passphrase for key {key}: ")
    sys.stdout.flush()
    with raise_if_interrupted():
        return getpass("").encode()


PASSPHRASES = PassphraseInput(_read_passphrase, _prompt)


def _ask_code() -> str:
    sys.stdout.write("Enter verification code: ")
    sys.stdout.flush()
    with raise_if_interrupted():
        return sys.stdin.readline(_MAX_CODE).strip()


DIALOG = LoginDialog(partial(print, flush=True), _ask_code)
"""The dialog of a login on stdout, as in Skopeo."""
