"""What Skopeo finds wrong in a command line before it looks at anything else, in its words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bundler import transports
from bundler.cli.frontends.skopeo import local_errors, logrus, reference_checks
from bundler.errors import UsageError
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cli.frontends.skopeo.argv import CommandLine

_ONE = "Exactly one non-option argument expected"
_TWO = "Exactly two arguments expected"
_FORMATS = ("oci", "v2s1", "v2s2")
_COMPRESSIONS = ("gzip", "zstd", "zstd:chunked")


def wants_usage(line: CommandLine) -> str | None:
    """Why the command's usage is to be shown: the number of arguments is not what it takes."""
    wanted, reason = _COUNTED.get(line.command.name, (None, ""))
    return None if wanted in (None, len(line.arguments)) else reason


def check(line: CommandLine) -> None:
    """Look for what contradicts, in the order in which Skopeo does.

    Raises:
        UsageError: the first that is found.
    """
    if line.says("insecure-policy") and line.says("require-signed"):
        raise UsageError("--insecure-policy and --require-signed are mutually exclusive")
    found = _CHECKS.get(line.command.name)
    if found is not None:
        found(line)


def warn(line: CommandLine) -> None:
    """Log the warnings about flags that have no effect, or another one soon."""
    command = line.command.name
    if command in ("copy", "sync") and "tls-verify" in line.flags:
        logrus.log(
            "warning",
            "'--tls-verify' is deprecated, instead use: --src-tls-verify, --dest-tls-verify",
        )
    if command == "copy" and not line.arguments[1].startswith("dir:"):
        for name in ("dest-compress", "dest-decompress"):
            if line.says(name):
                logrus.log(
                    "warning", f"--{name} can only be used if the destination transport is 'dir'"
                )
    if line.text("registries.d"):
        logrus.log("warning", "--registries.d has no effect yet: the signatures are not read")


def check_supported(line: CommandLine) -> None:
    """Look for flags that this program does not have: those that sign.

    Raises:
        UsageError: there is one.
    """
    for name in line.flags:
        if name.startswith("sign-"):
            raise UsageError(f"--{name} is not supported by this program")


def _copy(line: CommandLine) -> None:
    for text, side in zip(line.arguments, ("source", "destination"), strict=True):
        if (reason := reference_checks.why_not(text)) is not None:
            raise UsageError(f"Invalid {side} name {text}: {reason}")
    _access(line, "src-")
    _access(line, "dest-")
    _compression(line)
    for name in line.items("additional-tag"):
        _additional_tag(name)
    if line.text("multi-arch") and line.says("all"):
        raise UsageError("Cannot use --all and --multi-arch flags together")
    choice = line.text("multi-arch")
    if choice and choice not in ("system", "all", "index-only") and "/" not in choice:
        raise UsageError(
            f"unknown multi-arch option {quote(choice)}. Choose one of the supported options:"
            " 'system', 'all', or 'index-only'"
        )
    _format(line)
    _encryption(line)
    destination = line.arguments[1]
    both = line.says("dest-compress") and line.says("dest-decompress")
    if both and destination.startswith("dir:"):
        raise UsageError(
            f"initializing destination {destination}:"
            " Cannot compress and decompress at the same time"
        )


def _sync(line: CommandLine) -> None:
    source, destination = line.text("src"), line.text("dest")
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
    _format(line)
    _access(line, "src-")
    _access(line, "dest-")
    _sync_source(source, line.arguments[0])


def _sync_source(transport: str, text: str) -> None:
    reason = reference_checks.why_no_image(text)
    if transport == "docker" and reason is not None:
        raise UsageError(
            'Cannot obtain a valid image reference for transport "docker" and reference'
            f" {quote(text)}: {reason}"
        )
    unreadable = local_errors.why_unreadable(text) if transport != "docker" else None
    if unreadable is not None and transport == "dir":
        raise UsageError(f"Invalid source directory specified: stat {text}: {unreadable}")
    if unreadable is not None:
        raise UsageError(f"open {text}: {unreadable}")


def _inspect(line: CommandLine) -> None:
    _count(line, 1, "Exactly one argument expected")
    if line.says("raw") and line.text("format"):
        raise UsageError("raw output does not support format option")
    _access(line)
    text = line.arguments[0]
    if (reason := reference_checks.why_not(text)) is not None:
        raise UsageError(f"Error parsing image name {quote(text)}: {reason}")


def _delete(line: CommandLine) -> None:
    _count(line, 1, "Usage: delete imageReference")
    text = line.arguments[0]
    if (reason := reference_checks.why_not(text)) is not None:
        raise UsageError(f"Invalid source name {text}: {reason}")
    _access(line)
    transport = text.partition(":")[0]
    if transport not in ("docker", "oci", "containers-storage", "atomic"):
        shown = "oci" if transport == "oci-archive" else transport
        raise UsageError(f"Deleting images not implemented for {shown}: images")


def _list_tags(line: CommandLine) -> None:
    _access(line)
    text = line.arguments[0]
    transport, _, rest = text.partition(":")
    if transport not in transports.names() or transport == text:
        raise UsageError(f"Invalid {quote(text)}: does not specify a transport")
    if transport not in ("docker", "docker-archive"):
        raise UsageError(
            f"Unsupported transport '{transport}' for tag listing."
            " Only supported: docker, docker-archive"
        )
    if (reason := reference_checks.why_not(text)) is not None:
        raise UsageError(reason)
    if transport == "docker" and ("@" in rest or ":" in rest.rpartition("/")[2]):
        raise UsageError("No tag or digest allowed in reference")


def _login(line: CommandLine) -> None:
    if not line.arguments:
        raise UsageError("please provide a registry to log in to")
    if len(line.arguments) > 1:
        raise UsageError("login accepts only one registry to log in to")
    _account(line)
    if line.says("password-stdin"):
        if line.text("password"):
            raise UsageError("can't specify both --password-stdin and --password")
        if not line.text("username"):
            raise UsageError("must provide --username with --password-stdin")


def _logout(line: CommandLine) -> None:
    if line.says("all"):
        if line.arguments:
            raise UsageError("--all takes no arguments")
    elif not line.arguments:
        raise UsageError("please provide a registry to log out from")
    elif len(line.arguments) > 1:
        raise UsageError("logout accepts only one registry to log out from")
    _account(line)
    path = line.text("authfile")
    if path and (reason := local_errors.why_unreadable(path)) is not None:
        raise UsageError(f"credential file is not accessible: faccessat {path}: {reason}")


def _manifest_digest(line: CommandLine) -> None:
    _count(line, 1, "Usage: skopeo manifest-digest manifest")


def _layers(line: CommandLine) -> None:
    sys.stderr.write("DEPRECATED: skopeo layers is deprecated in favor of skopeo copy\n")
    if not line.arguments:
        raise UsageError("Usage: layers imageReference [layer...]")


def _completion(line: CommandLine) -> None:
    _count(line, 1, f"accepts 1 arg(s), received {len(line.arguments)}")


def _image_proxy(line: CommandLine) -> None:
    _count(line, 0, f"accepts 0 arg(s), received {len(line.arguments)}")
    _access(line)


def _count(line: CommandLine, wanted: int, reason: str) -> None:
    if len(line.arguments) != wanted:
        raise UsageError(reason)


def _account(line: CommandLine) -> None:
    if line.text("authfile") and line.text("compat-auth-file"):
        raise UsageError(
            "options for paths to the credential file and to the Docker-compatible credential file"
            " can not be set simultaneously"
        )


def _access(line: CommandLine, prefix: str = "") -> None:
    """Who to be for the registry on one side."""
    creds, username = line.get(f"{prefix}creds"), line.get(f"{prefix}username")
    aliases = {"src-": "screds", "dest-": "dcreds"}
    if creds is None:
        creds = line.get(aliases.get(prefix, prefix))
    if creds is not None and line.says(f"{prefix}no-creds"):
        raise UsageError("creds and no-creds cannot be specified at the same time")
    if username is not None and line.says(f"{prefix}no-creds"):
        raise UsageError("username and no-creds cannot be specified at the same time")
    if creds is not None and username is not None:
        raise UsageError("creds and username cannot be specified at the same time")
    if username is not None and not line.text(f"{prefix}password"):
        raise UsageError("password must be specified when username is specified")
    if username is None and line.get(f"{prefix}password") is not None:
        raise UsageError("username must be specified when password is specified")
    if isinstance(creds, str):
        if not creds:
            raise UsageError("credentials can't be empty")
        if creds.startswith(":"):
            raise UsageError("username can't be empty")


def _additional_tag(text: str) -> None:
    if (reason := reference_checks.why_no_image(text)) is not None:
        raise UsageError(f"error parsing additional-tag '{text}': {reason}")
    if ":" not in text.rpartition("/")[2]:
        raise UsageError(f"additional-tag '{text}' must be a tagged reference")


def _format(line: CommandLine) -> None:
    text = line.text("format")
    if text and text not in _FORMATS:
        raise UsageError(
            f"unknown format {quote(text)}. Choose one of the supported formats:"
            " 'oci', 'v2s1', or 'v2s2'"
        )


def _compression(line: CommandLine) -> None:
    text = line.text("dest-compress-format")
    if text and text not in _COMPRESSIONS:
        raise UsageError(f"cannot find compressor for {quote(text)}")
    if text.startswith("zstd") and line.text("format") == "v2s2":
        raise UsageError(
            "compression using zstd required together with format"
            " application/vnd.docker.distribution.manifest.v2+json, which does not support it"
        )


def _encryption(line: CommandLine) -> None:
    if line.items("encryption-key") and line.items("decryption-key"):
        raise UsageError("--encryption-key and --decryption-key cannot be specified together")
    if line.items("encrypt-layer") and not line.items("encryption-key"):
        raise UsageError("--encrypt-layer can only be used with --encryption-key")


_COUNTED = {"copy": (2, _TWO), "list-tags": (1, _ONE), "sync": (2, _TWO)}

_CHECKS: dict[str, Callable[[CommandLine], None]] = {
    "completion": _completion,
    "copy": _copy,
    "delete": _delete,
    "experimental-image-proxy": _image_proxy,
    "inspect": _inspect,
    "layers": _layers,
    "list-tags": _list_tags,
    "login": _login,
    "logout": _logout,
    "manifest-digest": _manifest_digest,
    "sync": _sync,
}
