"""Checks of references, with Skopeo's messages.

https://github.com/containers/image/blob/main/docs/containers-transports.5.md
"""

from __future__ import annotations

import re

from bundler import transports
from bundler.cli.frontends.skopeo.messages import local_errors
from bundler.errors import BundlerError
from bundler.gocompat.quoting import quote

_OCI_NAME = re.compile(r"[A-Za-z0-9]+(?:[-._:@/+][A-Za-z0-9]+|--[A-Za-z0-9]+)*")


def find_reference_problem(text: str) -> str | None:
    """Return Skopeo's message for the invalid reference ``text``; None if it is valid."""
    transport, colon, rest = text.partition(":")
    if not colon:
        return f"Invalid image name {quote(text)}, expected colon-separated transport:reference"
    if transport not in transports.names():
        return f"Invalid image name {quote(text)}, unknown transport {quote(transport)}"
    match transport:
        case "docker" | "docker-daemon" | "containers-storage":
            return _find_named_problem(transport, rest)
        case "atomic":
            return _find_stream_problem(rest)
        case "oci" | "oci-archive" | "docker-archive":
            return _find_path_problem(transport, rest)
        case "tarball":
            for path in rest.split(":"):
                if path != "-" and (reason := local_errors.find_open_error(path)) is not None:
                    return f"error opening {quote(path)}: open {path}: {reason}"
            return None
        case "ostree":
            return 'The transport "ostree:" is not supported in this build'
        case _:
            return None


def find_image_name_problem(text: str) -> str | None:
    """Return Skopeo's message for an invalid image name; None if it is valid."""
    first = text.partition("/")[0] if "/" in text else ""
    is_host = any(char in first for char in ".:") or first == "localhost"
    if _is_image_name(text) and (is_host or first == first.lower()):
        return None
    if text != text.lower() and _is_image_name(text.lower()):
        return "invalid reference format: repository name must be lowercase"
    return "invalid reference format"


def _is_image_name(text: str) -> bool:
    from bundler.oci.reference import ImageReference  # noqa: PLC0415 - loads hashlib

    try:
        ImageReference.parse(text)
    except BundlerError:
        return False
    return True


def _find_named_problem(transport: str, rest: str) -> str | None:
    """Check a reference that consists of an image name."""
    if transport == "docker":
        if not rest.startswith("//"):
            return f"docker: image reference {rest} does not start with //"
        name, at, _ = rest.partition("@")
        reason = find_image_name_problem(rest[2:].removesuffix("@@unknown-digest@@"))
        if reason is None and at and ":" in name.rpartition("/")[2] and "@@" not in rest:
            return "Docker references with both a tag and digest are currently not supported"
        return reason
    if transport == "containers-storage":
        name = rest.rpartition("]")[2]
        image = name.partition("@")[0]
        if not name:
            return '"" is an empty reference: invalid reference'
        if not image or re.fullmatch(r"@?[0-9a-f]+", name):
            return None
        reason = find_image_name_problem(image)
        return reason and f"parsing named reference {quote(image)}: {reason}"
    if re.fullmatch(r"sha256:[0-9a-f]{64}", rest):
        return None
    if rest.startswith("sha256:"):
        return (
            f"Invalid docker-daemon: reference {rest}: The sha256 repository name is reserved for"
            " (non-shortened) digest references"
        )
    reason = find_image_name_problem(rest)
    if reason is None and "@" not in rest and ":" not in rest.rpartition("/")[2]:
        return f"docker-daemon: reference {rest} has neither a tag nor a digest"
    return reason


def _find_stream_problem(rest: str) -> str | None:
    """Check the tag of an image stream."""
    if (reason := find_image_name_problem(rest)) is not None:
        return f"failed to parse image reference {quote(rest)}: {reason}"
    form = "expected format: 'hostname/namespace/stream:tag'"
    name = rest.partition("@")[0]
    if "@" in rest or ":" not in name.rpartition("/")[2]:
        return f"invalid image reference {rest}, {form}"
    try:
        transports.parse(f"atomic:{rest}")
    except BundlerError:
        return f"invalid image reference: {rest.removeprefix('docker.io/')}, {form}"
    return None


def _find_path_problem(transport: str, rest: str) -> str | None:
    """Check a path that may be followed by a name, or by an index such as ``@3``."""
    is_docker = transport == "docker-archive"
    if is_docker and not rest:
        return "docker-archive reference  isn't of the form <path>[:<reference>]"
    name = rest.partition(":")[2]
    if name.startswith("@"):
        number, kind = name[1:], "" if is_docker else "not an integer: "
        if not re.fullmatch(r"[+-]?[0-9]+", number):
            problem = f"{kind}strconv.Atoi: parsing {quote(number)}: invalid syntax"
            return f"Invalid source index {name}: {problem}"
        return f"Invalid source index {name}: must not be negative" if int(number) < 0 else None
    if not name:
        return None
    if is_docker:
        reason = find_image_name_problem(name)
        return reason and f"docker-archive parsing reference: {reason}"
    return None if _OCI_NAME.fullmatch(name) else f"Invalid image {name}"
