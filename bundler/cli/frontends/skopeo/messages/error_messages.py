"""Error messages and exit statuses of Skopeo.

They are selected by the types and fields of errors. An error without an equivalent in Skopeo keeps
airbundle's message, with Skopeo's prefix for the location.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo.messages import (
    local_errors,
    policy_errors,
    registry_errors,
    signing_errors,
)
from bundler.cli.frontends.skopeo.messages.local_errors import FAILED
from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
from bundler.errors import (
    CancelledError,
    ConfigError,
    DigestConflictError,
    DirectoryExistsError,
    EngineUnreachableError,
    FixedIndexError,
    FormatUnsupportedError,
    InvalidBundleManifestError,
    MissingImagesError,
    NoPlatformError,
    NotFoundError,
    NotLoggedInError,
    PartialError,
    PolicyFileError,
    ReadOnlyTransportError,
    RejectedByPolicyError,
    SignatureStoreError,
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


@dataclass(frozen=True, slots=True)
class SkopeoMessage:
    """An error message and its exit status."""

    cause: str
    """The message without the prefix, as logged before a retry."""
    status: int = FAILED
    prefix: str = ""
    """The prefix of the message that ends a command."""

    @property
    def message(self) -> str:
        """The message that ends a command."""
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
    match error:
        case CancelledError():
            return SkopeoMessage(error.message, error.status)
        case TimeLimitError():
            return SkopeoMessage("copying layer: context deadline exceeded")
        case RejectedByPolicyError():
            return SkopeoMessage(policy_errors.describe_rejection(error))
        case ConfigError():
            unreadable = local_errors.describe_config_error(error, line)
            if unreadable is not None:
                return SkopeoMessage(unreadable)
        case _:
            pass
    if line.command.name == "copy":
        return _describe_copy_error(error, line, first_blob)
    if line.command.name in signing_errors.COMMANDS:
        return SkopeoMessage(signing_errors.describe_command_error(error, line))
    describe = _DESCRIPTIONS.get(line.command.name)
    return SkopeoMessage(error.message) if describe is None else describe(error, line)


def _describe_copy_error(
    error: BundlerError, line: CommandLine, first_blob: str | None
) -> SkopeoMessage:
    source, destination = (DisplayReference.parse(text) for text in line.arguments)
    exchange = error.exchange
    if isinstance(error, PolicyFileError):
        reason = local_errors.describe_open_error(error, line.text("policy")) or error.message
        return SkopeoMessage(f"Error loading trust policy: {reason}")
    if error.reads_signatures:
        is_answer = exchange is not None and exchange.status is not None
        reason = registry_errors.describe_answer(exchange) if exchange and is_answer else str(error)
        return SkopeoMessage(f"reading signatures: {reason}")
    if exchange is None:
        return _describe_local_copy_error(error, line, source, destination)
    # If source and destination are the same repository, a failed read concerns the source.
    reads_source = exchange.method in ("", "GET") and _is_sent_to(exchange, source)
    if _is_sent_to(exchange, destination) and not reads_source:
        reason = registry_errors.describe_write_error(
            error, exchange, destination, line, first_blob
        )
        return SkopeoMessage(reason)
    if not source.is_registry:
        return SkopeoMessage(error.message)
    reason, status = registry_errors.describe_read_error(error, exchange, source, line, "src-")
    return SkopeoMessage(f"initializing source {source}: {reason}", status)


def _describe_local_copy_error(
    error: BundlerError, line: CommandLine, source: DisplayReference, destination: DisplayReference
) -> SkopeoMessage:
    """Describe a copy error that is not a registry response."""
    if (reason := signing_errors.describe_copy_error(error, destination)) is not None:
        return SkopeoMessage(reason)
    match error:
        case NoPlatformError(requested=(_,)):
            reason = local_errors.describe_missing_platform(error)
            return SkopeoMessage(f"choosing an image from manifest list {source}: {reason}")
        case FormatUnsupportedError(feature="zstd", media_type=media_type):
            return SkopeoMessage(
                f"compression using zstd required together with format {media_type}, which does not"
                " support it"
            )
        case FixedIndexError(media_type=media_type):
            return SkopeoMessage(
                f"Manifest list must be converted to type {quote(media_type)} to be written to"
                f" destination, but we cannot modify it: {quote(error.reason.capitalize())}"
            )
        case SingleImageDestinationError():
            return SkopeoMessage(
                f"copying multiple images: destination transport {quote(destination.transport)}"
                " does not support copying multiple images as a group"
            )
        case DigestConflictError() if destination.is_registry:
            return SkopeoMessage(
                "Digest of source image's manifest would not match destination reference"
            )
        case _:
            pass
    if (unreadable := local_errors.describe_unreadable(error, source)) is not None:
        reason, status = unreadable
        is_directory = source.transport == "dir"
        front = "determining manifest MIME type for" if is_directory else "initializing source"
        return SkopeoMessage(f"{front} {source}: {reason}", status)
    if (unwritable := local_errors.describe_unwritable(error, destination)) is not None:
        return SkopeoMessage(f"initializing destination {destination}: {unwritable}")
    if isinstance(error, EngineUnreachableError):
        unreachable = local_errors.describe_unreachable_engine(error)
        return SkopeoMessage(f"writing blob: {unreachable}")
    if isinstance(error, ReadOnlyTransportError):
        return SkopeoMessage(
            f"initializing destination {error.reference}: {quote(f'{error.transport}:')} locations"
            " can only be read from, not written to"
        )
    path = line.text("digestfile")
    if path and (unwritable := local_errors.describe_open_error(error, path)) is not None:
        return SkopeoMessage(f"Failed to write digest to file {quote(path)}: {unwritable}")
    return SkopeoMessage(error.message)


def _describe_inspect_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    image = DisplayReference.parse(line.arguments[0])
    inspects = line.command.name == "inspect"
    front = f"Error parsing image name {quote(line.arguments[0])}: " if inspects else ""
    exchange = error.exchange
    if exchange is not None and image.is_registry:
        if exchange.url.endswith("/tags/list"):
            reason = _describe_tags_error(error, exchange, image, line)
            return SkopeoMessage(f"Error determining repository tags: {reason}")
        reason, status = registry_errors.describe_read_error(error, exchange, image, line)
        return SkopeoMessage(reason, status, front)
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
        return SkopeoMessage(f"{front}{error.message}")
    reason, status = unreadable
    if image.transport == "dir" and inspects:
        return SkopeoMessage(f"Error retrieving manifest for image: {reason}")
    return SkopeoMessage(f"{front}{reason}", status)


def _describe_list_tags_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    source, exchange = DisplayReference.parse(line.arguments[0]), error.exchange
    if exchange is None:
        unreadable = local_errors.describe_unreadable(error, source)
        return SkopeoMessage(unreadable[0] if unreadable else error.message)
    reason = _describe_tags_error(error, exchange, source, line)
    return SkopeoMessage(reason, prefix="Error listing repository tags: ")


def _describe_tags_error(
    error: BundlerError, exchange: HttpExchange, image: DisplayReference, line: CommandLine
) -> str:
    """Describe a failure to list the tags of the repository of ``image``."""
    if exchange.status is None:
        unreachable = registry_errors.describe_unreachable(error, image, line)
        return f"getting repository tags: {unreachable}"
    return f"fetching tags list: {registry_errors.describe_answer(exchange)}"


def _describe_delete_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    image, exchange = DisplayReference.parse(line.arguments[0]), error.exchange
    if isinstance(error, SignatureStoreError):
        return SkopeoMessage(signing_errors.describe_store_error(error))
    if exchange is not None and exchange.status is None:
        return SkopeoMessage(registry_errors.describe_unreachable(error, image, line))
    if image.is_registry and isinstance(error, NotFoundError):
        return SkopeoMessage(
            f"Unable to delete {image.image}. Image may not exist or is not stored with a v2 Schema"
            " in a v2 registry"
        )
    if exchange is not None:
        answer = registry_errors.describe_answer(exchange)
        return SkopeoMessage(f"deleting {image.image}: {answer}")
    return SkopeoMessage(*(local_errors.describe_unreadable(error, image) or (error.message,)))


def _describe_login_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    registry = line.arguments[0] if line.arguments else ""
    if isinstance(error, NotLoggedInError):
        return SkopeoMessage(f"not logged into {error.registry}")
    if error.exchange is not None and error.exchange.status is None:
        reference = DisplayReference.parse(f"docker://{registry.partition('/')[0]}/x")
        unreachable = registry_errors.describe_unreachable(error, reference, line)
        return SkopeoMessage(f"authenticating creds for {quote(registry)}: {unreachable}")
    if isinstance(error, UnauthorizedError):
        return SkopeoMessage(f"logging into {quote(registry)}: invalid username/password")
    return SkopeoMessage(error.message)


def _describe_manifest_digest_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    path = line.arguments[0]
    reason = local_errors.describe_open_error(error, path)
    if error.os_error is not None and error.os_error.errno == errno.EISDIR:
        reason = f"read {path}: is a directory"
    return SkopeoMessage(f"Error reading manifest from {path}: {reason or error.message}")


def _describe_sync_error(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    if isinstance(error, MissingImagesError):  # Skopeo ends at the first one
        error = next(iter(error.errors.values()))
    if isinstance(error, PartialError):
        return SkopeoMessage("Sync failed due to previous reported error(s) for one or more images")
    if isinstance(error, InvalidBundleManifestError):
        front = f"Failed to unmarshal {quote(line.arguments[0])}: yaml: "
        return SkopeoMessage("; ".join(error.findings), prefix=front)
    if isinstance(error, DirectoryExistsError):
        return SkopeoMessage(f"Refusing to overwrite destination directory {quote(error.path)}")
    target = DisplayReference.parse(f"{line.text('dest')}:{line.arguments[1]}")
    if (reason := signing_errors.describe_copy_error(error, target)) is not None:
        return SkopeoMessage(reason)
    exchange = error.exchange
    if exchange is not None and exchange.status is None and line.text("src") == "docker":
        source = DisplayReference.parse(f"docker://{line.arguments[0]}")
        unreachable = registry_errors.describe_unreachable(error, source, line, "src-")
        if str(source) == f"docker://{line.arguments[0]}":  # the source has a tag or a digest
            fetching = f"fetching manifest {source.version} in {source.repository}"
            cause = f"initializing source {source}: {fetching}: {unreachable}"
            return SkopeoMessage(cause, prefix=f"Error copying ref {quote(str(source))}: ")
        front = f"Error determining repository tags for repo {source.repository}: "
        return SkopeoMessage(f"getting repository tags: {unreachable}", prefix=front)
    if exchange is None or "/v2/" not in exchange.url:
        return SkopeoMessage(error.message)
    host, _, path = exchange.url.partition("://")[2].partition("/v2/")
    if path.endswith("/tags/list"):
        name = f"{host}/{path.removesuffix('/tags/list')}"
        tags = f"fetching tags list: {registry_errors.describe_answer(exchange)}"
        return SkopeoMessage(f"Error determining repository tags for repo {name}: {tags}")
    repository, _, version = path.rpartition("/manifests/")
    if not repository:
        return SkopeoMessage(error.message)
    separator = "@" if ":" in version else ":"
    image = DisplayReference.parse(f"docker://{host}/{repository}{separator}{version}")
    reason, status = registry_errors.describe_read_error(error, exchange, image, line, "src-")
    front = f"Error copying ref {quote(str(image))}: "
    return SkopeoMessage(f"initializing source {image}: {reason}", status, front)


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


def _is_sent_to(exchange: HttpExchange, reference: DisplayReference) -> bool:
    """Return whether a request was sent to the repository of ``reference``.

    A request without a response has to match only the registry.
    """
    if not reference.is_registry or reference.image is None:
        return False
    host, _, path = exchange.url.partition("://")[2].partition("/")
    if "/v2/" in exchange.url and exchange.status is not None:
        return f"/{path}".startswith(reference.url_path)
    return host in (reference.host, reference.image.domain) or exchange.status is not None
