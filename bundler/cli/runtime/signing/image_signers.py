"""Signers of images, from the options of ``copy`` and ``sync``.

Before the run starts, keys are loaded, passphrases are prompted for, users log in, and certificates
are requested. A transparency log is contacted when a manifest is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bundler.cli.runtime.signing import signing_keys
from bundler.cli.runtime.signing.oidc_login import DIALOG, obtain_token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bundler.cli.runtime.context import CommandContext, CommandRun
    from bundler.cli.runtime.signing.oidc_login import LoginDialog
    from bundler.oci.descriptor import Descriptor
    from bundler.signature_ports import SignManifest
    from bundler.trust.sigstore.keys import SigningKey
    from bundler.trust.sigstore.signing.parameters import FulcioParameters
    from bundler.trust.sigstore.signing.services import IssuedCertificate
    from bundler.trust.sigstore.signing.signer import Record, RequestCertificate
    from bundler.trust.web_service import Send

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
    from bundler.trust.sigstore.signing.signer import SigstoreSigner  # noqa: PLC0415 - loads cryptography

    key = _load_key(context, path, passphrase_file, passphrases)
    return lambda _: SigstoreSigner(key).sign


def load_sigstore_parameters(
    context: CommandContext,
    path: Path,
    passphrases: PassphraseInput = PASSPHRASES,
    dialog: LoginDialog = DIALOG,
) -> CreateSigner:
    """Read a parameter file; load its key, or request a certificate for a new one.

    The user logs in first if the file says so, and again if the certificate expires during the run.

    Returns:
        The function that creates the signer.

    Raises:
        UsageError: the passphrase is wrong, or cannot be prompted for.
        NotFoundError, ConfigError, UnsupportedError: the file is not valid, or its key is not.
        RegistryError: the user is not logged in, or there is no certificate.
    """
    from bundler.trust.sigstore.signing import parameters  # noqa: PLC0415 - loads cryptography
    from bundler.trust.sigstore.signing.signer import (  # noqa: PLC0415 - as above
        CertifiedKey,
        KeylessSigner,
        SigstoreSigner,
    )

    found = parameters.read_parameters(path)
    url, fulcio = found.rekor_url, found.fulcio
    if fulcio is None:
        assert found.key_file is not None  # noqa: S101 - the parameters have one of them
        key = _load_key(context, found.key_file, found.passphrase_file, passphrases)
        return lambda run: SigstoreSigner(key, None, _create_record(run, url)).sign
    with context.run() as own:
        first = CertifiedKey.create(_create_request(own, fulcio, dialog))

    def create(run: CommandRun) -> SignManifest:
        request = _create_request(run, fulcio, dialog)
        return KeylessSigner(first, request, _create_record(run, url)).sign

    return create


def _create_record(run: CommandRun, url: str | None) -> Record | None:
    """Return the function that records signatures in the log at ``url``; None without a log."""
    from bundler.trust.sigstore.signing import services  # noqa: PLC0415 - loads cryptography

    return None if url is None else partial(services.record_signature, _create_client(run), url)


def _create_request(
    run: CommandRun, fulcio: FulcioParameters, dialog: LoginDialog
) -> RequestCertificate:
    """Return the function that requests certificates; the user logs in for each of them."""
    from bundler.trust.sigstore.signing import services  # noqa: PLC0415 - loads cryptography

    send = _create_client(run)

    def request(key: SigningKey) -> IssuedCertificate:
        token = fulcio.identity
        if not isinstance(token, str):
            token = obtain_token(token, send, run.cancellation, dialog)
        return services.request_certificate(send, fulcio.url, token, key)

    return request


def _create_client(run: CommandRun) -> Send:
    from bundler.registry.services.service_client import ServiceClient  # noqa: PLC0415 - loads requests

    find_access = run.context.settings.get_service_access
    client = ServiceClient(find_access, run.cancellation, run.emit)
    run.threads.callback(client.close)
    return client.send


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
