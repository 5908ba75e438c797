"""Checks of references, with Skopeo's messages.

https://github.com/containers/image/blob/main/docs/containers-transports.5.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler import transports
from bundler.cli.frontends.skopeo.messages import local_errors
from bundler.errors import BundlerError
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable

_OCI_NAME = re.compile(r"[A-Za-z0-9]+(?:[-._:@/+][A-Za-z0-9]+|--[A-Za-z0-9]+)*")


def find_reference_problem(text: str) -> str | None:
    """Return Skopeo's message about ``text``; None if it is a valid reference."""
    transport, colon, rest = text.partition(":")
    if not colon:
        return f"Invalid image name {quote(text)}, expected colon-separated transport:reference"
    if transport not in transports.names():
        return f"Invalid image name {quote(text)}, unknown transport {quote(transport)}"
    check = _CHECKS.get(transport)
    return check(rest) if check else None


def find_image_name_problem(text: str) -> str | None:
    """Return Skopeo's message about the name of an image; None if it is valid."""
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


def _check_docker(rest: str) -> str | None:
    if not rest.startswith("//"):
        return f"docker: image reference {rest} does not start with //"
    name, at, _ = rest.partition("@")
    reason = find_image_name_problem(rest[2:].removesuffix("@@unknown-digest@@"))
    if reason is None and at and ":" in name.rpartition("/")[2] and "@@" not in rest:
        return "Docker references with both a tag and digest are currently not supported"
    return reason


def _check_docker_daemon(rest: str) -> str | None:
    if rest.startswith("sha256:"):
        if re.fullmatch(r"sha256:[0-9a-f]{64}", rest):
            return None
        return (
            f"Invalid docker-daemon: reference {rest}: The sha256 repository name is reserved for"
            " (non-shortened) digest references"
        )
    reason = find_image_name_problem(rest)
    if reason is None and "@" not in rest and ":" not in rest.rpartition("/")[2]:
        return f"docker-daemon: reference {rest} has neither a tag nor a digest"
    return reason


def _check_docker_archive(rest: str) -> str | None:
    if not rest:
        return "docker-archive reference  isn't of the form <path>[:<reference>]"
    _, _, name = rest.partition(":")
    if not name:
        return None
    if name.startswith("@"):
        return _check_index(name)
    reason = find_image_name_problem(name)
    return reason and f"docker-archive parsing reference: {reason}"


def _check_layout(rest: str) -> str | None:
    _, _, name = rest.partition(":")
    if name.startswith("@"):
        return _check_index(name, "not an integer: ")
    return None if not name or _OCI_NAME.fullmatch(name) else f"Invalid image {name}"


def _check_index(name: str, kind: str = "") -> str | None:
    """Check an index such as ``@3``."""
    number = name[1:]
    if not re.fullmatch(r"[+-]?[0-9]+", number):
        return (
            f"Invalid source index {name}: {kind}"
            f"strconv.Atoi: parsing {quote(number)}: invalid syntax"
        )
    if int(number) < 0:
        return f"Invalid source index {name}: must not be negative"
    return None


def _check_containers_storage(rest: str) -> str | None:
    name = rest.rpartition("]")[2]
    if not name:
        return '"" is an empty reference: invalid reference'
    image = name.partition("@")[0]
    if not image or re.fullmatch(r"@?[0-9a-f]+", name):
        return None
    reason = find_image_name_problem(image)
    return reason and f"parsing named reference {quote(image)}: {reason}"


def _check_tarball(rest: str) -> str | None:
    for path in rest.split(":"):
        if path != "-" and (reason := local_errors.find_open_error(path)) is not None:
            return f"error opening {quote(path)}: open {path}: {reason}"
    return None


def _check_ostree(rest: str) -> str | None:  # noqa: ARG001 - as all checks
    return 'The transport "ostree:" is not supported in this build'


_CHECKS: dict[str, Callable[[str], str | None]] = {
    "containers-storage": _check_containers_storage,
    "docker": _check_docker,
    "docker-archive": _check_docker_archive,
    "docker-daemon": _check_docker_daemon,
    "oci": _check_layout,
    "oci-archive": _check_layout,
    "ostree": _check_ostree,
    "tarball": _check_tarball,
}
