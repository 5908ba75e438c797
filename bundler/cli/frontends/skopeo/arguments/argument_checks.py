"""Checks of a command line before the command runs, with Skopeo's messages.

The order of the checks is Skopeo's.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bundler import transports
from bundler.cli.frontends.skopeo.arguments import reference_checks
from bundler.cli.frontends.skopeo.messages import local_errors, logrus
from bundler.errors import UsageError
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine

_USAGE_COUNTS = {
    "copy": (2, "Exactly two arguments expected"),
    "list-tags": (1, "Exactly one non-option argument expected"),
    "sync": (2, "Exactly two arguments expected"),
}
"""Required numbers of arguments; on a mismatch, the usage is printed before the message."""
_COUNTS = {
    "completion": (1, "accepts 1 arg(s), received {}"),
    "delete": (1, "Usage: delete imageReference"),
    "experimental-image-proxy": (0, "accepts 0 arg(s), received {}"),
    "inspect": (1, "Exactly one argument expected"),
    "manifest-digest": (1, "Usage: skopeo manifest-digest manifest"),
    "standalone-sign": (
        3,
        "Usage: skopeo standalone-sign manifest docker-reference key-fingerprint -o signature",
    ),
    "standalone-verify": (
        4,
        "Usage: skopeo standalone-verify manifest docker-reference key-fingerprint signature",
    ),
    "untrusted-signature-dump-without-verification": (
        1,
        "Usage: skopeo untrusted-signature-dump-without-verification signature",
    ),
}
"""Required numbers of arguments of other commands, with the message for a mismatch."""
_FORMATS = ("oci", "v2s1", "v2s2")
_COMPRESSIONS = ("gzip", "zstd", "zstd:chunked")


def find_count_problem(line: CommandLine) -> str | None:
    """Return the message after the usage if the number of arguments is wrong; else None."""
    count, message = _USAGE_COUNTS.get(line.command.name, (None, ""))
    return None if count in (None, len(line.arguments)) else message


def check(line: CommandLine) -> None:
    """Check the flags and arguments of a command.

    Raises:
        UsageError: with the message for the first error.
    """
    if line.is_set("insecure-policy") and line.is_set("require-signed"):
        raise UsageError("--insecure-policy and --require-signed are mutually exclusive")
    number = len(line.arguments)
    count, message = _COUNTS.get(line.command.name, (number, ""))
    lacks_output = line.command.name == "standalone-sign" and not line.text("output")
    if count != number or lacks_output:
        raise UsageError(message.format(number))
    check_command = _CHECKS.get(line.command.name)
    if check_command is not None:
        check_command(line)


def log_warnings(line: CommandLine) -> None:
    """Log warnings about flags that are deprecated or have no effect."""
    command = line.command.name
    if command in ("copy", "sync") and "tls-verify" in line.flags:
        logrus.log(
            "warning",
            "'--tls-verify' is deprecated, instead use: --src-tls-verify, --dest-tls-verify",
        )
    if command == "copy" and not line.arguments[1].startswith("dir:"):
        for name in ("dest-compress", "dest-decompress"):
            if line.is_set(name):
                logrus.log(
                    "warning", f"--{name} can only be used if the destination transport is 'dir'"
                )


def _check_copy(line: CommandLine) -> None:
    for text, side in zip(line.arguments, ("source", "destination"), strict=True):
        if (reason := reference_checks.find_reference_problem(text)) is not None:
            raise UsageError(f"Invalid {side} name {text}: {reason}")
    _check_credentials(line, "src-")
    _check_credentials(line, "dest-")
    _check_compression(line)
    for name in line.items("additional-tag"):
        if (reason := reference_checks.find_image_name_problem(name)) is not None:
            raise UsageError(f"error parsing additional-tag '{name}': {reason}")
        if ":" not in name.rpartition("/")[2]:
            raise UsageError(f"additional-tag '{name}' must be a tagged reference")
    platforms = line.text("multi-arch")
    if platforms and line.is_set("all"):
        raise UsageError("Cannot use --all and --multi-arch flags together")
    if platforms and platforms not in ("system", "all", "index-only") and "/" not in platforms:
        raise UsageError(
            f"unknown multi-arch option {quote(platforms)}. Choose one of the supported options:"
            " 'system', 'all', or 'index-only'"
        )
    _check_format(line)
    if identity := line.text("sign-identity"):
        _check_identity(identity)
    if line.items("encryption-key") and line.items("decryption-key"):
        raise UsageError("--encryption-key and --decryption-key cannot be specified together")
    if line.items("encrypt-layer") and not line.items("encryption-key"):
        raise UsageError("--encrypt-layer can only be used with --encryption-key")
    destination = line.arguments[1]
    both = line.is_set("dest-compress") and line.is_set("dest-decompress")
    if both and destination.startswith("dir:"):
        raise UsageError(
            f"initializing destination {destination}:"
            " Cannot compress and decompress at the same time"
        )


def _check_identity(text: str) -> None:
    """Check a reference to sign, which must not rely on defaults."""
    from bundler.oci.reference import ImageReference  # noqa: PLC0415 - loads hashlib

    reason = reference_checks.find_image_name_problem(text)
    if reason is None and str(ImageReference.parse(text)) != text:
        reason = "repository name must be canonical"
    if reason is not None:
        raise UsageError(f"Could not parse --sign-identity: {reason}")
    if ImageReference.parse(text).version is None:
        raise UsageError(f"Sign identity must be a fully specified reference {text}")


def _check_sync(line: CommandLine) -> None:
    source, destination, location = line.text("src"), line.text("dest"), line.arguments[0]
    if not source:
        raise UsageError("A source transport must be specified")
    if source not in ("docker", "dir", "yaml"):
        raise UsageError(f"{quote(source)} is not a valid source transport")
    if not destination:
        raise UsageError("A destination transport must be specified")
    if destination not in ("docker", "dir"):
        raise UsageError(f"{quote(destination)} is not a valid destination transport")
    if source == destination == "dir":
        raise UsageError("sync from 'dir' to 'dir' not implemented, consider using rsync instead")
    _check_format(line)
    _check_credentials(line, "src-")
    _check_credentials(line, "dest-")
    if source == "docker":
        if (reason := reference_checks.find_image_name_problem(location)) is not None:
            raise UsageError(
                'Cannot obtain a valid image reference for transport "docker" and reference'
                f" {quote(location)}: {reason}"
            )
    elif (unreadable := local_errors.find_open_error(location)) is not None:
        front = "Invalid source directory specified: stat" if source == "dir" else "open"
        raise UsageError(f"{front} {location}: {unreadable}")


def _check_inspect(line: CommandLine) -> None:
    if line.is_set("raw") and line.text("format"):
        raise UsageError("raw output does not support format option")
    _check_credentials(line)
    text = line.arguments[0]
    if (reason := reference_checks.find_reference_problem(text)) is not None:
        raise UsageError(f"Error parsing image name {quote(text)}: {reason}")


def _check_delete(line: CommandLine) -> None:
    text = line.arguments[0]
    if (reason := reference_checks.find_reference_problem(text)) is not None:
        raise UsageError(f"Invalid source name {text}: {reason}")
    _check_credentials(line)
    transport = text.partition(":")[0]
    if transport not in ("docker", "oci", "containers-storage"):
        name = "oci" if transport == "oci-archive" else transport
        raise UsageError(f"Deleting images not implemented for {name}: images")


def _check_list_tags(line: CommandLine) -> None:
    _check_credentials(line)
    text = line.arguments[0]
    transport, _, rest = text.partition(":")
    if transport not in transports.names() or transport == text:
        raise UsageError(f"Invalid {quote(text)}: does not specify a transport")
    if transport not in ("docker", "docker-archive"):
        raise UsageError(
            f"Unsupported transport '{transport}' for tag listing."
            " Only supported: docker, docker-archive"
        )
    if (reason := reference_checks.find_reference_problem(text)) is not None:
        raise UsageError(reason)
    if transport == "docker" and ("@" in rest or ":" in rest.rpartition("/")[2]):
        raise UsageError("No tag or digest allowed in reference")


def _check_login_or_logout(line: CommandLine) -> None:
    name = line.command.name
    purpose = "log in to" if name == "login" else "log out from"
    if line.is_set("all"):
        if line.arguments:
            raise UsageError("--all takes no arguments")
    elif not line.arguments:
        raise UsageError(f"please provide a registry to {purpose}")
    elif len(line.arguments) > 1:
        raise UsageError(f"{name} accepts only one registry to {purpose}")
    path = line.text("authfile")
    if path and line.text("compat-auth-file"):
        raise UsageError(
            "options for paths to the credential file and to the Docker-compatible credential file"
            " can not be set simultaneously"
        )
    if name == "logout" and path and (reason := local_errors.find_open_error(path)) is not None:
        raise UsageError(f"credential file is not accessible: faccessat {path}: {reason}")
    if line.is_set("password-stdin"):
        if line.text("password"):
            raise UsageError("can't specify both --password-stdin and --password")
        if not line.text("username"):
            raise UsageError("must provide --username with --password-stdin")


def _check_layers(line: CommandLine) -> None:
    sys.stderr.write("DEPRECATED: skopeo layers is deprecated in favor of skopeo copy\n")
    if not line.arguments:
        raise UsageError("Usage: layers imageReference [layer...]")


def _check_credentials(line: CommandLine, side: str = "") -> None:
    """Check the credentials flags of one side."""
    creds, username = line.get(f"{side}creds"), line.get(f"{side}username")
    if creds is None and side:
        creds = line.get({"src-": "screds", "dest-": "dcreds"}[side])
    conflict = "cannot be specified at the same time"
    anonymous, has_username = line.is_set(f"{side}no-creds"), username is not None
    problems = {
        f"creds and no-creds {conflict}": creds is not None and anonymous,
        f"username and no-creds {conflict}": has_username and anonymous,
        f"creds and username {conflict}": creds is not None and has_username,
        "password must be specified when username is specified": (
            has_username and not line.text(f"{side}password")
        ),
        "username must be specified when password is specified": (
            not has_username and line.get(f"{side}password") is not None
        ),
        "credentials can't be empty": creds == "",
        "username can't be empty": isinstance(creds, str) and creds.startswith(":"),
    }
    for message, found in problems.items():
        if found:
            raise UsageError(message)


def _check_format(line: CommandLine) -> None:
    text = line.text("format")
    if text and text not in _FORMATS:
        raise UsageError(
            f"unknown format {quote(text)}. Choose one of the supported formats:"
            " 'oci', 'v2s1', or 'v2s2'"
        )


def _check_compression(line: CommandLine) -> None:
    text = line.text("dest-compress-format")
    if text and text not in _COMPRESSIONS:
        raise UsageError(f"cannot find compressor for {quote(text)}")
    if text.startswith("zstd") and line.text("format") == "v2s2":
        raise UsageError(
            "compression using zstd required together with format"
            " application/vnd.docker.distribution.manifest.v2+json, which does not support it"
        )


_CHECKS: dict[str, Callable[[CommandLine], None]] = {
    "copy": _check_copy,
    "delete": _check_delete,
    "experimental-image-proxy": _check_credentials,
    "inspect": _check_inspect,
    "layers": _check_layers,
    "list-tags": _check_list_tags,
    "login": _check_login_or_logout,
    "logout": _check_login_or_logout,
    "sync": _check_sync,
}
