"""Errors in Skopeo's words, and the exit statuses that it has for them.

The words are chosen by the types of errors and by their fields. Where Skopeo has no such error, our
own message follows Skopeo's words for the location.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo import local_errors
from bundler.cli.frontends.skopeo.reference_display import DisplayReference
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

    from bundler.cli.frontends.skopeo.argv import CommandLine
    from bundler.errors import BundlerError, HttpExchange

_FAILED, _NOT_FOUND = 1, 2


@dataclass(frozen=True, slots=True)
class SkopeoMessage:
    """A message, and the exit status that goes with it."""

    cause: str
    """The message of a failure that may not be the last."""
    status: int = _FAILED
    front: str = ""
    """What precedes it at the end of a command."""

    @property
    def message(self) -> str:
        """The message of the failure that ends a command."""
        return f"{self.front}{self.cause}"


def told(error: BundlerError, line: CommandLine, first_blob: str | None = None) -> SkopeoMessage:
    """What Skopeo says of ``error``.

    Args:
        error: what went wrong.
        line: what was asked for.
        first_blob: the first that is copied, once that is known.
    """
    if isinstance(error, CancelledError):
        return SkopeoMessage(error.message, error.status)
    if isinstance(error, TimeLimitError):
        return SkopeoMessage("copying layer: context deadline exceeded")
    if isinstance(error, RejectedByPolicyError):
        return SkopeoMessage(f"Source image rejected: {_of_policy(error)}")
    if isinstance(error, ConfigError) and (misled := _of_settings(error, line)) is not None:
        return SkopeoMessage(misled)
    if line.command.name == "copy":
        return _of_copy(error, line, first_blob)
    phrase = _PHRASES.get(line.command.name)
    return SkopeoMessage(error.message) if phrase is None else phrase(error, line)


def _of_policy(error: RejectedByPolicyError) -> str:
    image = DisplayReference.of(error.reference or "")
    match error.rule:
        case "reject":
            return f"Running image {image} is rejected by policy."
        case "requireSigned":
            return f"No signature verification policy found for image {image}"
        case _:
            return error.message


def _of_settings(error: ConfigError, line: CommandLine) -> str | None:
    """That a file of settings which the command line names cannot be read."""
    details = line.text("tls-details")
    if details and (reason := local_errors.unopened(error, details)) is not None:
        return f"reading {quote(details)}: {reason}"
    registries = line.text("registries-conf")
    reason = local_errors.unopened(error, registries) if registries else None
    if reason is None:
        return None
    front = f"Error parsing image name {quote(line.arguments[0])}: " if line.arguments else ""
    front = front if line.command.name == "inspect" else ""
    return f"{front}loading registries configuration: {reason}"


def _of_copy(error: BundlerError, line: CommandLine, first_blob: str | None) -> SkopeoMessage:
    source, destination = (DisplayReference.of(text) for text in line.arguments)
    exchange = error.exchange
    if isinstance(error, PolicyFileError):
        reason = local_errors.unopened(error, line.text("policy")) or error.message
        return SkopeoMessage(f"Error loading trust policy: {reason}")
    if exchange is not None:
        if _concerns(exchange, destination) and not _only_reads(exchange, source):
            return SkopeoMessage(_at_destination(error, exchange, destination, line, first_blob))
        if source.transport == "docker":
            read = _read(error, exchange, source, line, "src-")
            return SkopeoMessage(f"initializing source {source}: {read.message}", read.status)
        return SkopeoMessage(error.message)
    return _of_local_copy(error, line, source, destination)


def _of_local_copy(
    error: BundlerError, line: CommandLine, source: DisplayReference, destination: DisplayReference
) -> SkopeoMessage:
    """Of a copy, what no registry has to do with."""
    match error:
        case NoPlatformError(requested=(_,)):
            reason = local_errors.no_platform(error)
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
    unreadable = local_errors.unreadable(error, source)
    if unreadable is not None:
        front = (
            "determining manifest MIME type for"
            if source.transport == "dir"
            else ("initializing source")
        )
        message, missing = unreadable
        return SkopeoMessage(f"{front} {source}: {message}", _NOT_FOUND if missing else _FAILED)
    return SkopeoMessage(_unwritten(error, line, destination))


def _unwritten(error: BundlerError, line: CommandLine, destination: DisplayReference) -> str:
    """Why what was read cannot be written."""
    unwritable = local_errors.unwritable(error, destination)
    if unwritable is not None:
        return f"initializing destination {destination}: {unwritable}"
    match error:
        case EngineUnreachableError():
            return f"writing blob: {local_errors.no_engine(error)}"
        case ReadOnlyTransportError(transport=transport):
            return (
                f"initializing destination {error.reference}:"
                f" {quote(f'{transport}:')} locations can only be read from, not written to"
            )
        case _:
            pass
    digest_file = line.text("digestfile")
    if digest_file and (reason := local_errors.unopened(error, digest_file)) is not None:
        return f"Failed to write digest to file {quote(digest_file)}: {reason}"
    return error.message


def _of_inspect(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    text = line.arguments[0]
    image = DisplayReference.of(text)
    inspects = line.command.name == "inspect"
    front = f"Error parsing image name {quote(text)}: " if inspects else ""
    exchange = error.exchange
    if exchange is not None and image.transport == "docker":
        if exchange.url.endswith("/tags/list"):
            return SkopeoMessage(
                f"Error determining repository tags: fetching tags list: {_answer(exchange)}"
            )
        read = _read(error, exchange, image, line, "")
        return SkopeoMessage(read.cause, read.status, front)
    match error:
        case NoPlatformError(requested=(_,)):
            reason = local_errors.no_platform(error)
            return SkopeoMessage(
                f"Error parsing manifest for image: choosing image instance: {reason}"
            )
        case TemplateError() | TemplateLimitError():
            return SkopeoMessage(error.message)
        case _:
            pass
    unreadable = local_errors.unreadable(error, image)
    if unreadable is None:
        return SkopeoMessage(front + error.message)
    message, missing = unreadable
    if image.transport == "dir" and inspects:
        return SkopeoMessage(f"Error retrieving manifest for image: {message}")
    return SkopeoMessage(f"{front}{message}", _NOT_FOUND if missing else _FAILED)


def _of_list_tags(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    place = DisplayReference.of(line.arguments[0])
    exchange = error.exchange
    if exchange is None:
        unreadable = local_errors.unreadable(error, place)
        return SkopeoMessage(unreadable[0] if unreadable else error.message)
    front = "Error listing repository tags: "
    if exchange.status is None:
        unreachable = _unreachable(error, place, line, "")
        return SkopeoMessage(f"getting repository tags: {unreachable}", front=front)
    return SkopeoMessage(f"fetching tags list: {_answer(exchange)}", front=front)


def _of_delete(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    place = DisplayReference.of(line.arguments[0])
    exchange = error.exchange
    if exchange is not None and exchange.status is None:
        return SkopeoMessage(_unreachable(error, place, line, ""))
    if place.transport == "docker" and isinstance(error, NotFoundError):
        return SkopeoMessage(
            f"Unable to delete {place.image}. Image may not exist or is not stored with a v2 Schema"
            " in a v2 registry"
        )
    if exchange is not None:
        return SkopeoMessage(f"deleting {place.image}: {_answer(exchange)}")
    unreadable = local_errors.unreadable(error, place)
    if unreadable is None:
        return SkopeoMessage(error.message)
    return SkopeoMessage(unreadable[0], _NOT_FOUND if unreadable[1] else _FAILED)


def _of_login(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    registry = line.arguments[0] if line.arguments else ""
    if isinstance(error, NotLoggedInError):
        return SkopeoMessage(f"not logged into {error.registry}")
    if error.exchange is not None and error.exchange.status is None:
        place = DisplayReference.of(f"docker://{registry.partition('/')[0]}/x")
        return SkopeoMessage(
            f"authenticating creds for {quote(registry)}: {_unreachable(error, place, line, '')}"
        )
    if isinstance(error, UnauthorizedError):
        return SkopeoMessage(f"logging into {quote(registry)}: invalid username/password")
    return SkopeoMessage(error.message)


def _of_sync(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    if isinstance(error, PartialError):
        return SkopeoMessage("Sync failed due to previous reported error(s) for one or more images")
    if isinstance(error, DirectoryExistsError):
        return SkopeoMessage(f"Refusing to overwrite destination directory {quote(error.path)}")
    exchange = error.exchange
    if exchange is not None and exchange.status is None and line.text("src") == "docker":
        return _of_unreached_sync(error, line)
    if exchange is None or "/v2/" not in exchange.url:
        return SkopeoMessage(error.message)
    host, _, path = exchange.url.partition("://")[2].partition("/v2/")
    repository, _, tag = path.rpartition("/manifests/")
    if path.endswith("/tags/list"):
        name = f"{host}/{path.removesuffix('/tags/list')}"
        tags = f"fetching tags list: {_answer(exchange)}"
        return SkopeoMessage(f"Error determining repository tags for repo {name}: {tags}")
    if not repository:
        return SkopeoMessage(error.message)
    image = DisplayReference.of(f"docker://{host}/{repository}{'@' if ':' in tag else ':'}{tag}")
    read = _read(error, exchange, image, line, "src-")
    front = f"Error copying ref {quote(str(image))}: "
    return SkopeoMessage(f"initializing source {image}: {read.message}", read.status, front)


def _of_unreached_sync(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    """A sync from a registry that cannot be reached."""
    source = DisplayReference.of(f"docker://{line.arguments[0]}")
    unreachable = _unreachable(error, source, line, "src-")
    if str(source) == f"docker://{line.arguments[0]}":  # which tag is known already
        reading = f"fetching manifest {source.version} in {source.repository}: {unreachable}"
        front = f"Error copying ref {quote(str(source))}: "
        return SkopeoMessage(f"initializing source {source}: {reading}", front=front)
    front = f"Error determining repository tags for repo {source.repository}: "
    return SkopeoMessage(f"getting repository tags: {unreachable}", front=front)


def _of_manifest_digest(error: BundlerError, line: CommandLine) -> SkopeoMessage:
    path = line.arguments[0]
    reason = local_errors.unopened(error, path)
    if error.os_error is not None and error.os_error.errno == errno.EISDIR:
        reason = f"read {path}: is a directory"
    return SkopeoMessage(f"Error reading manifest from {path}: {reason or error.message}")


def _read(
    error: BundlerError,
    exchange: HttpExchange,
    image: DisplayReference,
    line: CommandLine,
    side: str,
) -> SkopeoMessage:
    """What went wrong with reading an image from a registry."""
    from bundler.cli.frontends.skopeo import network_errors  # noqa: PLC0415 - loads the registry client

    fetching = f"fetching manifest {image.version} in {image.repository}"
    if exchange.status is None:
        return SkopeoMessage(f"{fetching}: {_unreachable(error, image, line, side)}")
    if network_errors.is_refused_token(exchange):
        return SkopeoMessage(f"{fetching}: {network_errors.refused_token(exchange)}")
    said = network_errors.answer(exchange)
    if "/blobs/" in exchange.url:
        return SkopeoMessage(
            f"reading blob {exchange.url.rpartition('/')[2]}: fetching blob: {said}"
        )
    missing = exchange.status == 404
    if missing and not exchange.entries:
        said = "manifest unknown"
    reading = f"reading manifest {image.version} in {image.repository}: {said}"
    return SkopeoMessage(reading, _NOT_FOUND if missing else _FAILED)


def _at_destination(
    error: BundlerError,
    exchange: HttpExchange,
    destination: DisplayReference,
    line: CommandLine,
    first_blob: str | None,
) -> str:
    """What went wrong with writing an image to a registry."""
    from bundler.cli.frontends.skopeo import network_errors  # noqa: PLC0415 - loads the registry client

    reusing = f"trying to reuse blob {first_blob} at destination"
    if exchange.status is None:
        return f"{reusing}: {_unreachable(error, destination, line, 'dest-')}"
    if network_errors.is_refused_token(exchange):
        return f"{reusing}: {network_errors.refused_token(exchange)}"
    said = network_errors.answer(exchange)
    if "/manifests/" in exchange.url:
        what = f"uploading manifest {destination.version} to {destination.repository}"
        return f"writing manifest: {what}: {said}"
    if exchange.method == "HEAD":
        return (
            f"{reusing}: checking whether a blob {first_blob} exists in"
            f" {destination.repository}: {said}"
        )
    if exchange.method == "POST":
        path = f"{destination.url_path}blobs/uploads/"
        return f"writing blob: initiating layer upload to {path} in {destination.host}: {said}"
    return f"writing blob: uploading layer chunked: {said}"


def _concerns(exchange: HttpExchange, place: DisplayReference) -> bool:
    """Whether a request went to the repository, or with no answer to the registry, of ``place``."""
    if place.transport != "docker" or place.image is None:
        return False
    host, _, path = exchange.url.partition("://")[2].partition("/")
    if "/v2/" in exchange.url and exchange.status is not None:
        return f"/{path}".startswith(place.url_path)
    return host in (place.host, place.image.domain) or exchange.status is not None


def _only_reads(exchange: HttpExchange, source: DisplayReference) -> bool:
    """Whether a request that may have gone to either side went to the source."""
    return _concerns(exchange, source) and exchange.method in ("", "GET")


def _unreachable(error: BundlerError, place: DisplayReference, line: CommandLine, side: str) -> str:
    from bundler.cli.frontends.skopeo import network_errors  # noqa: PLC0415 - loads the registry client

    said = [line.get(f"{side}tls-verify"), line.get("tls-verify")]
    verified = next((one for one in said if one is not None), True) is not False
    return network_errors.unreachable(error, place.host, verified=verified)


def _answer(exchange: HttpExchange) -> str:
    from bundler.cli.frontends.skopeo import network_errors  # noqa: PLC0415 - loads the registry client

    if network_errors.is_refused_token(exchange):
        return network_errors.refused_token(exchange)
    return network_errors.answer(exchange)


_PHRASES: dict[str, Callable[[BundlerError, CommandLine], SkopeoMessage]] = {
    "delete": _of_delete,
    "inspect": _of_inspect,
    "layers": _of_inspect,
    "list-tags": _of_list_tags,
    "login": _of_login,
    "logout": _of_login,
    "manifest-digest": _of_manifest_digest,
    "sync": _of_sync,
}
