"""Error messages and exit statuses of Skopeo.

They are selected by the types and the fields of errors. For an error that Skopeo does not have, the
message is airbundle's, with Skopeo's prefix for the location.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo import requests
from bundler.cli.frontends.skopeo.messages import local_errors
from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
from bundler.errors import (
    CancelledError,
    ConfigError,
    DigestConflictError,
    DirectoryExistsError,
    EngineUnreachableError,
    FormatUnsupportedError,
    NoPlatformError,
    NotFoundError,
    NotLoggedInError,
    PartialError,
    PolicyFileError,
    ReadOnlyTransportError,
    RejectedByPolicyError,
    SingleImageDestinationError,
    TemplateError,
    TemplateLimitError,
    TimeLimitError,
    UnauthorizedError,
)
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.errors import BundlerError, HttpExchange

_FAILED, _NOT_FOUND = 1, 2


@dataclass(frozen=True, slots=True)
class SkopeoMessage:
    """An error message and its exit status."""

    cause: str
    """The message of a failure that may be retried."""
    status: int = _FAILED
    prefix: str = ""
    """The prefix of the message at the end of a command."""

    @property
    def message(self) -> str:
        """The message of the failure that ends a command."""
        return f"{self.prefix}{self.cause}"


def describe_error(
    error: BundlerError, line: CommandLine, first_blob: str | None = None
) -> SkopeoMessage:
    """Return Skopeo's message for ``error``.

    Args:
        error: the failure.
        line: the command line that failed.
        first_blob: the digest of the first blob that was to be copied; None if unknown.
    """
    if isinstance(error, CancelledError):
        return SkopeoMessage(error.message, error.status)
    if isinstance(error, TimeLimitError):
        return SkopeoMessage("copying layer: context deadline exceeded")
    if isinstance(error, RejectedByPolicyError):
        return SkopeoMessage(f"Source image rejected: {_describe_rejection(error)}")
    if isinstance(error, ConfigError):
        message = _describe_settings_error(error, line)
        if message is not None:
            return SkopeoMessage(message)
    if line.command.name == "copy":
        return _describe_copy_error(error, line, first_blob)
    describe = _DESCRIPTIONS.get(line.command.name)
    return SkopeoMessage(error.message) if describe is None else describe(error, line)


def _describe_rejection(error: RejectedByPolicyError) -> str:
    image = DisplayReference.parse(error.reference or "")
    match error.rule:
        case "reject":
            return f"Running image {image} is rejected by policy."
        case "requireSigned":
            return f"No signature verification policy found for image {image}"
        case _:
            return error.message


def _describe_settings_error(error: ConfigError, line: CommandLine) -> str | None:
    """Describe a failure to read a configuration file that a flag names; else None."""
    details = line.text("tls-details")
    if details and (reason := local_errors.describe_open_error(error, details)) is not None:
        return f"reading {quote(details)}: {reason}"
    registries = line.text("registries-conf")
    reason = local_errors.describe_open_error(error, registries) if registries else None
    if reason is None:
        return None
    front = f"Error parsing image name {quote(line.arguments[0])}: " if line.arguments else ""
    front = front if line.command.name == "inspect" else ""
    return f"{front}loading registries configuration: {reason}"


def _describe_copy_error(
    error: BundlerError, line: CommandLine, first_blob: str | None
) -> SkopeoMessage:
    source, destination = (DisplayReference.parse(text) for text in line.arguments)
    exchange = error.exchange
    if isinstance(error, PolicyFileError):
        reason = local_errors.describe_open_error(error, line.text("policy")) or error.message
        return SkopeoMessage(f"Error loading trust policy: {reason}")
    if exchange is not None:
        # A read of one repository that is source and destination concerns the source.
        reads_source = exchange.method in ("", "GET") and _is_sent_to(exchange, source)
        if _is_sent_to(exchange, destination) and not reads_source:
            return SkopeoMessage(
                _describe_registry_write_error(error, exchange, destination, line, first_blob)
            )
        if source.transport == "docker":
            read = _describe_registry_read_error(error, exchange, source, line, "src-")
            return SkopeoMessage(f"initializing source {source}: {read.message}", read.status)
        return SkopeoMessage(error.message)
    return _describe_local_copy_error(error, line, source, destination)


def _describe_local_copy_error(
    error: BundlerError, line: CommandLine, source: DisplayReference, destination: DisplayReference
) -> SkopeoMessage:
    """Describe an error of a copy that is not a response of a registry."""
    match error:
        case NoPlatformError(requested=(_,)):
            reason = local_errors.describe_missing_platform(error)
            return SkopeoMessage(f"choosing an image from manifest list {source}: {reason}")
        case FormatUnsupportedError(feature="zstd", media_type=media_type):
            return SkopeoMessage(
                f"compression using zstd required together with format {media_type}, which does not"
                " support it"
            )
        case SingleImageDestinationError():
            return SkopeoMessage(
                f"copying multiple images: destination transport {quote(destination.transport)}"
                " does not support copying multiple images as a group"
            )
        case DigestConflictError() if destination.transport == "docker":
            return SkopeoMessage(
                "Digest of source image's manifest would not match destination reference"
            )
        case _:
            pass
    unreadable = local_errors.describe_unreadable(error, source)
    if unreadable is not None:
        front = (
            "determining manifest MIME type for"
            if source.transport == "dir"
            else ("initializing source")
        )
        message, missing = unreadable
        return SkopeoMessage(f"{front} {source}: {message}", _NOT_FOUND if missing else _FAILED)
    return SkopeoMessage(_describe_write_error(error, line, destination))


def _describe_write_error(
    error: BundlerError, line: CommandLine, destination: DisplayReference
) -> str:
    """Describe an error of the destination, or of the digest file."""
    unwritable = local_errors.describe_unwritable(error, destination)
    if unwritable is not None:
        return f"initializing destination {destination}: {unwritable}"
    match error:
        case EngineUnreachableError():
            return f"writing blob: {local_errors.describe_unreachable_engine(error)}"
        case ReadOnlyTransportError(transport=transport):
            return (
                f"initializing destination {error.reference}:"
                f" {quote(f'{transport}:')} locations can only be read from, not written to"
            )
        case _:
            pass
    digest_file = line.text("digestfile")
    if digest_file and (reason := local_errors.describe_open_error(error, digest_file)) is not None:
        return f"Failed to write digest to file {quote(digest_file)}: {reason}"
    return error.message


def _describe_inspect_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    text = line.arguments[0]
    image = DisplayReference.parse(text)
    inspects = line.command.name == "inspect"
    front = f"Error parsing image name {quote(text)}: " if inspects else ""
    exchange = error.exchange
    if exchange is not None and image.transport == "docker":
        if exchange.url.endswith("/tags/list"):
            answer = _describe_answer(exchange)
            return SkopeoMessage(f"Error determining repository tags: fetching tags list: {answer}")
        read = _describe_registry_read_error(error, exchange, image, line, "")
        return SkopeoMessage(read.cause, read.status, front)
    match error:
        case NoPlatformError(requested=(_,)):
            reason = local_errors.describe_missing_platform(error)
            return SkopeoMessage(
                f"Error parsing manifest for image: choosing image instance: {reason}"
            )
        case TemplateError() | TemplateLimitError():
            return SkopeoMessage(error.message)
        case _:
            pass
    unreadable = local_errors.describe_unreadable(error, image)
    if unreadable is None:
        return SkopeoMessage(front + error.message)
    message, missing = unreadable
    if image.transport == "dir" and inspects:
        return SkopeoMessage(f"Error retrieving manifest for image: {message}")
    return SkopeoMessage(f"{front}{message}", _NOT_FOUND if missing else _FAILED)


def _describe_list_tags_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    source = DisplayReference.parse(line.arguments[0])
    exchange = error.exchange
    if exchange is None:
        unreadable = local_errors.describe_unreadable(error, source)
        return SkopeoMessage(unreadable[0] if unreadable else error.message)
    front = "Error listing repository tags: "
    if exchange.status is None:
        unreachable = _describe_unreachable(error, source, line, "")
        return SkopeoMessage(f"getting repository tags: {unreachable}", prefix=front)
    return SkopeoMessage(f"fetching tags list: {_describe_answer(exchange)}", prefix=front)


def _describe_delete_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    image = DisplayReference.parse(line.arguments[0])
    exchange = error.exchange
    if exchange is not None and exchange.status is None:
        return SkopeoMessage(_describe_unreachable(error, image, line, ""))
    if image.transport == "docker" and isinstance(error, NotFoundError):
        return SkopeoMessage(
            f"Unable to delete {image.image}. Image may not exist or is not stored with a v2 Schema"
            " in a v2 registry"
        )
    if exchange is not None:
        return SkopeoMessage(f"deleting {image.image}: {_describe_answer(exchange)}")
    unreadable = local_errors.describe_unreadable(error, image)
    if unreadable is None:
        return SkopeoMessage(error.message)
    return SkopeoMessage(unreadable[0], _NOT_FOUND if unreadable[1] else _FAILED)


def _describe_login_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    registry = line.arguments[0] if line.arguments else ""
    if isinstance(error, NotLoggedInError):
        return SkopeoMessage(f"not logged into {error.registry}")
    if error.exchange is not None and error.exchange.status is None:
        reference = DisplayReference.parse(f"docker://{registry.partition('/')[0]}/x")
        unreachable = _describe_unreachable(error, reference, line, "")
        return SkopeoMessage(f"authenticating creds for {quote(registry)}: {unreachable}")
    if isinstance(error, UnauthorizedError):
        return SkopeoMessage(f"logging into {quote(registry)}: invalid username/password")
    return SkopeoMessage(error.message)


def _describe_sync_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    if isinstance(error, PartialError):
        return SkopeoMessage("Sync failed due to previous reported error(s) for one or more images")
    if isinstance(error, DirectoryExistsError):
        return SkopeoMessage(f"Refusing to overwrite destination directory {quote(error.path)}")
    exchange = error.exchange
    if exchange is not None and exchange.status is None and line.text("src") == "docker":
        return _describe_unreachable_sync_source(error, line)
    if exchange is None or "/v2/" not in exchange.url:
        return SkopeoMessage(error.message)
    host, _, path = exchange.url.partition("://")[2].partition("/v2/")
    repository, _, tag = path.rpartition("/manifests/")
    if path.endswith("/tags/list"):
        name = f"{host}/{path.removesuffix('/tags/list')}"
        tags = f"fetching tags list: {_describe_answer(exchange)}"
        return SkopeoMessage(f"Error determining repository tags for repo {name}: {tags}")
    if not repository:
        return SkopeoMessage(error.message)
    image = DisplayReference.parse(f"docker://{host}/{repository}{'@' if ':' in tag else ':'}{tag}")
    read = _describe_registry_read_error(error, exchange, image, line, "src-")
    front = f"Error copying ref {quote(str(image))}: "
    return SkopeoMessage(f"initializing source {image}: {read.message}", read.status, front)


def _describe_unreachable_sync_source(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    """Describe that the source registry of a sync cannot be reached."""
    source = DisplayReference.parse(f"docker://{line.arguments[0]}")
    unreachable = _describe_unreachable(error, source, line, "src-")
    if str(source) == f"docker://{line.arguments[0]}":  # it has a tag or a digest
        reading = f"fetching manifest {source.version} in {source.repository}: {unreachable}"
        front = f"Error copying ref {quote(str(source))}: "
        return SkopeoMessage(f"initializing source {source}: {reading}", prefix=front)
    front = f"Error determining repository tags for repo {source.repository}: "
    return SkopeoMessage(f"getting repository tags: {unreachable}", prefix=front)


def _describe_manifest_digest_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    path = line.arguments[0]
    reason = local_errors.describe_open_error(error, path)
    if error.os_error is not None and error.os_error.errno == errno.EISDIR:
        reason = f"read {path}: is a directory"
    return SkopeoMessage(f"Error reading manifest from {path}: {reason or error.message}")


def _describe_registry_read_error(
    error: BundlerError,
    exchange: HttpExchange,
    image: DisplayReference,
    line: CommandLine,
    side: str,
) -> SkopeoMessage:
    """Describe an error of reading an image from a registry."""
    from bundler.cli.frontends.skopeo.messages import network_errors  # noqa: PLC0415 - loads the registry client

    fetching = f"fetching manifest {image.version} in {image.repository}"
    if exchange.status is None:
        return SkopeoMessage(f"{fetching}: {_describe_unreachable(error, image, line, side)}")
    if network_errors.is_refused_token(exchange):
        return SkopeoMessage(f"{fetching}: {network_errors.describe_refused_token(exchange)}")
    answer = network_errors.describe_answer(exchange)
    if "/blobs/" in exchange.url:
        return SkopeoMessage(
            f"reading blob {exchange.url.rpartition('/')[2]}: fetching blob: {answer}"
        )
    missing = exchange.status == 404
    if missing and not exchange.entries:
        answer = "manifest unknown"
    reading = f"reading manifest {image.version} in {image.repository}: {answer}"
    return SkopeoMessage(reading, _NOT_FOUND if missing else _FAILED)


def _describe_registry_write_error(
    error: BundlerError,
    exchange: HttpExchange,
    destination: DisplayReference,
    line: CommandLine,
    first_blob: str | None,
) -> str:
    """Describe an error of writing an image to a registry."""
    from bundler.cli.frontends.skopeo.messages import network_errors  # noqa: PLC0415 - loads the registry client

    reusing = f"trying to reuse blob {first_blob} at destination"
    if exchange.status is None:
        return f"{reusing}: {_describe_unreachable(error, destination, line, 'dest-')}"
    if network_errors.is_refused_token(exchange):
        return f"{reusing}: {network_errors.describe_refused_token(exchange)}"
    answer = network_errors.describe_answer(exchange)
    if "/manifests/" in exchange.url:
        upload = f"uploading manifest {destination.version} to {destination.repository}"
        return f"writing manifest: {upload}: {answer}"
    if exchange.method == "HEAD":
        return (
            f"{reusing}: checking whether a blob {first_blob} exists in"
            f" {destination.repository}: {answer}"
        )
    if exchange.method == "POST":
        path = f"{destination.url_path}blobs/uploads/"
        return f"writing blob: initiating layer upload to {path} in {destination.host}: {answer}"
    return f"writing blob: uploading layer chunked: {answer}"


def _is_sent_to(exchange: HttpExchange, reference: DisplayReference) -> bool:
    """Return whether a request was sent to the repository of ``reference``.

    If it was not answered: to its registry.
    """
    if reference.transport != "docker" or reference.image is None:
        return False
    host, _, path = exchange.url.partition("://")[2].partition("/")
    if "/v2/" in exchange.url and exchange.status is not None:
        return f"/{path}".startswith(reference.url_path)
    return host in (reference.host, reference.image.domain) or exchange.status is not None


def _describe_unreachable(
    error: BundlerError, reference: DisplayReference, line: CommandLine, side: str
) -> str:
    from bundler.cli.frontends.skopeo.messages import network_errors  # noqa: PLC0415 - loads the registry client

    verifies_tls = requests.find_tls_verify(line, side) is not False
    return network_errors.describe_unreachable(error, reference.host, verifies_tls=verifies_tls)


def _describe_answer(exchange: HttpExchange) -> str:
    from bundler.cli.frontends.skopeo.messages import network_errors  # noqa: PLC0415 - loads the registry client

    if network_errors.is_refused_token(exchange):
        return network_errors.describe_refused_token(exchange)
    return network_errors.describe_answer(exchange)


_DESCRIPTIONS: dict[str, Callable[[BundlerError, CommandLine], SkopeoMessage]] = {
    "delete": _describe_delete_error,
    "inspect": _describe_inspect_error,
    "layers": _describe_inspect_error,
    "list-tags": _describe_list_tags_error,
    "login": _describe_login_error,
    "logout": _describe_login_error,
    "manifest-digest": _describe_manifest_digest_error,
    "sync": _describe_sync_error,
}
