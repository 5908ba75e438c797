"""Skopeo's messages for errors of signatures: of copies, and of the commands for files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo.arguments import reference_checks
from bundler.cli.frontends.skopeo.messages import local_errors
from bundler.errors import (
    InvalidReferenceError,
    InvalidSignatureError,
    SignatureStoreError,
    SignaturesUnsupportedError,
    SignedOriginalError,
    SigningKeyError,
    UnnamedDestinationError,
    UnsupportedError,
    UsageError,
)
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
    from bundler.errors import BundlerError

_MIN_KEY_ID = 8  # characters; a shorter name of a key is invalid for gpgme
_NO_SIGNATURES = {
    "docker-archive": "Storing signatures for docker tar files is not supported",
    "docker-daemon": "Storing signatures for docker tar files is not supported",
    "oci": "Pushing signatures for OCI images is not supported",
    "oci-archive": "Pushing signatures for OCI images is not supported",
}


@dataclass(frozen=True, slots=True)
class _Command:
    """The messages of a command for signatures in files."""

    front: str
    """The beginning of the message for an error of the signature."""
    files: dict[int, str]
    """The arguments that are files, with the beginning of the message if one cannot be opened."""
    flags: dict[str, str]
    """The flags that are files, likewise."""


COMMANDS = {
    "standalone-sign": _Command(
        "Error creating signature",
        {0: "Error reading"},
        {"output": "Error writing signature to"},
    ),
    "standalone-verify": _Command(
        "Error verifying signature",
        {0: "Error reading manifest from", 3: "Error reading signature from"},
        {"public-key-file": "Error reading public keys from"},
    ),
    "untrusted-signature-dump-without-verification": _Command(
        "Error decoding untrusted signature",
        {0: "Error reading untrusted signature from"},
        {},
    ),
}


def describe_copy_error(error: BundlerError, destination: DisplayReference) -> str | None:
    """Describe why an image cannot be signed, or copied with its signatures; else None."""
    match error:
        case SigningKeyError():
            return f"creating signature: {_describe_key_error(error)}"
        case UnnamedDestinationError(reference=reference):
            return f"Cannot determine canonical Docker reference for destination {reference}"
        case SignatureStoreError():
            return f"writing signatures: {describe_store_error(error)}"
        case SignaturesUnsupportedError(reason=reason):
            refusal = _NO_SIGNATURES.get(destination.transport, error.message)
            front = f"Can not copy signatures to {destination}"
            return f"{'writing signatures' if reason == 'signing' else front}: {refusal}"
        case SignedOriginalError() if destination.transport in _NO_SIGNATURES:
            refusal = _NO_SIGNATURES[destination.transport]
            return f"Can not copy signatures to {destination}: {refusal}"
        case SignedOriginalError():
            return (
                "Copying this image would require changing layer representation, which we cannot"
                ' do: "Would invalidate signatures"'
            )
        case _:
            return None


def describe_store_error(error: SignatureStoreError) -> str:
    """Describe why signatures in a registry cannot be changed."""
    if error.problem == "attachments":
        return "writing sigstore attachments is disabled by configuration"
    return (
        f"Writing directly to a {error.location.partition(':')[0]} lookaside {error.location} is"
        " not supported. Configure a lookaside-staging: location"
    )


def describe_command_error(error: BundlerError, line: CommandLine) -> str:
    """Describe an error of one of ``COMMANDS``."""
    command = COMMANDS[line.command.name]
    files = {line.arguments[index]: front for index, front in command.files.items()}
    files |= {line.text(flag): front for flag, front in command.flags.items() if line.text(flag)}
    for path, front in files.items():
        if (reason := local_errors.describe_open_error(error, path)) is not None:
            return f"{front} {path}: {reason}"
    match error:
        case UnsupportedError():
            return f"Error initializing GPG: {error.message}"
        case SigningKeyError():
            reason = _describe_key_error(error)
        case InvalidReferenceError():
            reason = reference_checks.find_image_name_problem(line.arguments[1]) or error.message
        case UsageError():
            return error.message
        case InvalidSignatureError(problem="digest", value=value):
            reason = f"Signature for docker digest {quote(value)} does not match"
        case InvalidSignatureError(problem="identity", value=value):
            reason = f"Docker reference {quote(value)} does not match {quote(line.arguments[1])}"
        case InvalidSignatureError(problem="payload", value=value) if value:
            reason = f"Invalid docker reference {quote(value)} in signature"
        case _:
            reason = error.message
    return f"{command.front}: {reason}"


def _describe_key_error(error: SigningKeyError) -> str:
    match error.cause:
        case "unknown":
            is_name = len(error.key) >= _MIN_KEY_ID
            return f"key {quote(error.key)} not found" if is_name else "Invalid value"
        case "ambiguous":
            return "Ambiguous name"
        case "passphrase":
            return "Bad passphrase"
        case _:
            return "Unusable secret key"
