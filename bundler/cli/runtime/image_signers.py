"""Signers of images, from the options of ``copy`` and ``sync``.

Keys are loaded, and passphrases are prompted for, before the run starts. Services are contacted
when a manifest is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.runtime import signing_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bundler.cli.runtime.context import CommandContext, CommandRun
    from bundler.oci.descriptor import Descriptor
    from bundler.signature_ports import SignManifest
    from bundler.trust.sigstore.keys import SigningKey

    CreateSigner = Callable[[CommandRun], SignManifest]


@dataclass(frozen=True, slots=True)
class ImageSigners:
    """The signers of a command; each of them signs every manifest."""

    signers: tuple[CreateSigner, ...] = ()
    """Functions that create a signer for a run, in the order of their signatures."""

    def create_sign_manifest(self, run: CommandRun) -> SignManifest | None:
        """Return the function that signs manifests; None if there is no signer."""
        if not self.signers:
            return None
        created = [create(run) for create in self.signers]

        def sign(reference: str, descriptor: Descriptor, manifest: bytes) -> Sequence[bytes]:
            return [item for sign in created for item in sign(reference, descriptor, manifest)]

        return sign


@dataclass(frozen=True, slots=True)
class PassphraseInput:
    """The ways to obtain the passphrase of a key; both are called with a path."""

    read: Callable[[Path], bytes]
    """Reads the first line of a file."""
    prompt: Callable[[Path], bytes]
    """Prompts for the passphrase of a key file."""

    def obtain(self, key: Path, passphrase_file: Path | None) -> bytes:
        """Return the passphrase of ``key``, from the file if one is given."""
        return self.prompt(key) if passphrase_file is None else self.read(passphrase_file)


PASSPHRASES = PassphraseInput(
    lambda path: signing_keys.read_passphrase(path, may_be_empty=True),
    lambda key: signing_keys.ask_for_passphrase(
        f"Passphrase of {key}", option="--sign-passphrase-file FILE"
    ),
)


def load_sigstore_key(
    context: CommandContext,
    path: Path,
    passphrase_file: Path | None,
    passphrases: PassphraseInput = PASSPHRASES,
) -> CreateSigner:
    """Load a private key; return the function that creates its signer.

    Raises:
        UsageError: the passphrase is wrong, or cannot be prompted for.
        NotFoundError, ConfigError, UnsupportedError: the file is not a key that signs images.
    """
    from bundler.trust.sigstore.signer import SigstoreSigner  # noqa: PLC0415 - loads cryptography

    key = _load_key(context, path, passphrase_file, passphrases)
    return lambda _: SigstoreSigner(key).sign


def load_sigstore_parameters(
    context: CommandContext, path: Path, passphrases: PassphraseInput = PASSPHRASES
) -> CreateSigner:
    """Read a parameter file, and load its key; return the function that creates the signer.

    Raises:
        UsageError: the passphrase is wrong, or cannot be prompted for.
        NotFoundError, ConfigError, UnsupportedError: the file is not valid, or its key is not.
    """
    from functools import partial  # noqa: PLC0415 - as below

    from bundler.registry.service_client import ServiceClient  # noqa: PLC0415 - loads requests
    from bundler.trust.sigstore import parameters, services  # noqa: PLC0415 - loads cryptography
    from bundler.trust.sigstore.signer import KeylessSigner, SigstoreSigner  # noqa: PLC0415 - as above

    found = parameters.read_parameters(path)
    url, fulcio, key = found.rekor_url, found.fulcio, None
    if found.key_file is not None:
        key = _load_key(context, found.key_file, found.passphrase_file, passphrases)
    if fulcio is not None:
        services.find_token_subject(fulcio.token)  # fails before the image is copied

    def create(run: CommandRun) -> SignManifest:
        find_access = run.context.settings.get_service_access
        send = ServiceClient(find_access, run.cancellation, run.emit).send
        record = None if url is None else partial(services.record_signature, send, url)
        if fulcio is not None:
            request = partial(services.request_certificate, send, fulcio.url, fulcio.token)
            return KeylessSigner(request, record).sign
        assert key is not None  # noqa: S101 - the parameters have one of them
        return SigstoreSigner(key, None, record).sign

    return create


def _load_key(
    context: CommandContext,
    path: Path,
    passphrase_file: Path | None,
    passphrases: PassphraseInput,
) -> SigningKey:
    from bundler.trust.keys import needs_passphrase, read_key_file  # noqa: PLC0415 - as above
    from bundler.trust.sigstore.keys import parse_private_key  # noqa: PLC0415 - as above

    pem, passphrase = read_key_file(path), None
    if needs_passphrase(pem):
        passphrase = passphrases.obtain(path, passphrase_file)
    with context.run() as run:
        return parse_private_key(pem, passphrase, str(path), run.cancellation)
