"""Skopeo's messages and exit statuses follow from the types and fields of errors."""

from __future__ import annotations

import os
from errno import EACCES, ECONNREFUSED, ENOENT
from typing import TYPE_CHECKING

import pytest

from bundler import errors
from bundler.cli.frontends.skopeo.arguments import argv
from bundler.cli.frontends.skopeo.messages import error_messages, registry_errors

if TYPE_CHECKING:
    from bundler.errors import BundlerError

DIGEST = "sha256:" + "a" * 64


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def missing(path: str) -> BundlerError:
    return errors.MissingFileError(path, os_error=system_error(ENOENT))


def describe(error: BundlerError, *words: str) -> tuple[int, str]:
    message = error_messages.describe_error(error, argv.parse_command_line(words))
    return message.status, message.message


def describe_copy(
    error: BundlerError, source: str = "oci:/l:x", destination: str = "dir:/d"
) -> str:
    return describe(error, "copy", source, destination)[1]


@pytest.mark.parametrize(("docker_list", "kind"), [(False, "image index"), (True, "manifest list")])
def test_missing_platform_is_reported_by_the_kind_of_its_list(docker_list, kind):
    """A path that contains the word docker does not decide which kind it is."""
    error = errors.NoPlatformError(
        "oci:/docker:x",
        requested=["linux/arm/v7"],
        offered=["linux/amd64"],
        docker_list=docker_list,
    )
    assert describe_copy(error, "oci:/docker:x") == (
        f"choosing an image from manifest list oci:/docker:x: no image found in {kind} for"
        ' architecture "arm", variant "v7", OS "linux"'
    )


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (errors.NoSuchImageError("/l", "x"), 2, 'no descriptor found for reference "x"'),
        (
            errors.IndexOutOfRangeError("/l", index=7, count=2),
            1,
            "index 7 is too large, only 2 entries available",
        ),
        (errors.AmbiguousImageError("/l", 2), 1, "more than one image in oci, choose an image"),
        (missing("/l/index.json"), 1, "open /l/index.json: no such file or directory"),
        (missing("/l"), 1, "open /l/index.json: no such file or directory"),
    ],
)
def test_unreadable_layout_is_reported_by_type(error, status, message):
    assert describe(error, "inspect", "oci:/l:x") == (
        status,
        f'Error parsing image name "oci:/l:x": {message}',
    )


@pytest.mark.parametrize("number", [ENOENT, EACCES])
def test_unreadable_directory_is_reported_with_the_error_of_the_system(number):
    error = errors.MediumError("?", path="/d/manifest.json", os_error=system_error(number))
    reason = os.strerror(number).lower()
    assert describe(error, "inspect", "dir:/d") == (
        1,
        f"Error retrieving manifest for image: open /d/manifest.json: {reason}",
    )


def test_missing_blob_is_not_a_missing_manifest():
    error = missing("/d/aaaa")
    assert describe_copy(error, "dir:/d", "oci:/l") == error.message


@pytest.mark.parametrize(
    ("error", "source", "destination", "message"),
    [
        (
            errors.NotAnImageDirectoryError("/d"),
            "oci:/l",
            "dir:/d",
            (
                "initializing destination dir:/d: not a containers image directory, don't want to"
                " overwrite important data"
            ),
        ),
        (
            errors.ArchiveExistsError("/a"),
            "oci:/l",
            "docker-archive:/a:b:c",
            (
                "initializing destination docker-archive:/a:docker.io/library/b:c: docker-archive"
                " doesn't support modifying existing images"
            ),
        ),
        (
            errors.ReadOnlyTransportError("sif:/s", "sif"),
            "oci:/l",
            "sif:/s",
            (
                'initializing destination sif:/s: "sif:" locations can only be read from,'
                " not written to"
            ),
        ),
        (
            errors.SingleImageDestinationError("oci:/l"),
            "oci:/l",
            "docker-archive:/a:b:c",
            (
                'copying multiple images: destination transport "docker-archive" does not support'
                " copying multiple images as a group"
            ),
        ),
        (
            errors.FormatUnsupportedError("oci:/l", feature="zstd", media_type="application/x"),
            "oci:/l",
            "dir:/d",
            (
                "compression using zstd required together with format application/x, which does not"
                " support it"
            ),
        ),
        (
            errors.DigestConflictError("docker://r/x", expected="sha256:a", got="sha256:b"),
            "oci:/l",
            f"docker://r.example/x@{DIGEST}",
            "Digest of source image's manifest would not match destination reference",
        ),
        (
            errors.RejectedByPolicyError("?", rule="reject", reference="oci:/l"),
            "oci:/l",
            "dir:/d",
            "Source image rejected: Running image oci:/l: is rejected by policy.",
        ),
        (
            errors.RejectedByPolicyError("?", rule="requireSigned", scope="oci:/l"),
            "oci:/l:x",
            "dir:/d",
            "Source image rejected: No signature verification policy found for image oci:/l",
        ),
        (
            errors.TimeLimitError(3),
            "oci:/l",
            "dir:/d",
            "copying layer: context deadline exceeded",
        ),
    ],
)
def test_failed_copy_is_reported_by_type(error, source, destination, message):
    assert describe_copy(error, source, destination) == message


@pytest.mark.parametrize(
    ("host", "number", "dialled"),
    [
        ("unix:///run/x.sock", ENOENT, "unix /run/x.sock: connect: no such file or directory"),
        ("unix:///run/x.sock", ECONNREFUSED, "unix /run/x.sock: connect: connection refused"),
        ("tcp://127.0.0.1:1", ECONNREFUSED, "tcp 127.0.0.1:1: connect: connection refused"),
    ],
)
def test_unreachable_engine_is_reported_with_the_error_of_the_system(host, number, dialled):
    error = errors.EngineUnreachableError(host, system_error(number))
    message = describe_copy(error, "docker-daemon:x:y")
    assert message == (
        "initializing source docker-daemon:x:y: loading image from docker engine: failed to connect"
        f" to the docker API at {host}; check if the path is correct and if the daemon is running:"
        f" dial {dialled}"
    )


@pytest.mark.parametrize("command", ["login", "logout"])
def test_missing_login_is_reported_by_type(command):
    error = errors.NotLoggedInError("r.example/team")
    assert describe(error, command, "r.example/team") == (1, "not logged into r.example/team")


def test_policy_is_reported_by_type():
    error = errors.PolicyFileError("?", path="/p", os_error=system_error(ENOENT))
    assert describe(error, "--policy", "/p", "copy", "dir:/a", "dir:/b") == (
        1,
        "Error loading trust policy: open /p: no such file or directory",
    )


@pytest.mark.parametrize(
    "text",
    [
        "/policy.json: no image for linux/s390x; none was named",
        "/docker: no entry @9, there are 2",
        "template: not done within 3s",
        "/l: can only be read from, not written to",
    ],
)
def test_message_text_is_not_interpreted(text):
    assert describe_copy(errors.BundlerError(text)) == text


REPOSITORY_URL = "https://reg.example/v2/a/b"


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        (("UNAUTHORIZED", "project x not found"), "unauthorized: project x not found"),
        (("UNAUTHORIZED", "authentication required"), "unauthorized"),
        (("UNAUTHORIZED", "authentication required", True), "authentication required"),
        (("NOT_FOUND", "no such repository"), "unknown: no such repository"),
        (("MANIFEST_UNKNOWN", ""), "manifest unknown"),
    ],
)
def test_error_of_registry_is_stated_with_its_code(entry, answer):
    stated = errors.StatedError(*entry)
    error = errors.DeniedError("?", status=403)
    error.exchange = errors.HttpExchange("GET", f"{REPOSITORY_URL}/manifests/1", 403, (stated,))
    assert describe(error, "inspect", "docker://reg.example/a/b:1")[1] == (
        'Error parsing image name "docker://reg.example/a/b:1": '
        f"reading manifest 1 in reg.example/a/b: {answer}"
    )


@pytest.mark.parametrize(
    ("exchange", "answer"),
    [
        (errors.HttpExchange("GET", "", 401, body="<html>"), "authentication required"),
        (errors.HttpExchange("GET", "", 403, body="x" * 60), f'StatusCode: 403, "{"x" * 50}..."'),
        (errors.HttpExchange("GET", "", 403, body="no\n"), 'StatusCode: 403, "no\\n"'),
        (
            errors.HttpExchange("GET", "", 403, is_token=True),
            "Requesting bearer token: invalid status code from registry 403 (Forbidden)",
        ),
        (
            errors.HttpExchange("GET", "", 401, is_token=True),
            "unable to retrieve auth token: invalid username/password: authentication required",
        ),
        (errors.HttpExchange("GET", "", 429, is_token=True), "too many requests to registry"),
    ],
)
def test_other_refusals_are_described_by_status(exchange, answer):
    assert registry_errors.describe_answer(exchange) == answer


def test_only_the_challenge_of_a_refused_blob_request_is_stated():
    """Skopeo requests no explanation of a HEAD."""
    stated = errors.StatedError("UNAUTHORIZED", "no project")
    exchange = errors.HttpExchange("HEAD", f"{REPOSITORY_URL}/blobs/x", 401, (stated,))
    assert registry_errors.describe_answer(exchange) == "authentication required"
    challenge = errors.StatedError("DENIED", "no licence", in_body=False)
    exchange = exchange._replace(entries=(challenge, stated))
    assert registry_errors.describe_answer(exchange) == "denied: no licence"


def test_inspect_reports_why_the_tags_cannot_be_read():
    """Without a complete response there is no status."""
    error = errors.StalledError("http://h: no progress within 3s", host="h", limit=3)
    error.exchange = errors.HttpExchange("GET", "http://h/v2/app/tags/list")
    status, message = describe(error, "inspect", "docker://h/app:1")
    assert status == 1
    assert message.startswith("Error determining repository tags: getting repository tags: ")
    assert message.endswith("no progress within 3s")
