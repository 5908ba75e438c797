"""References: Docker's grammar, with the same results as Skopeo."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import example, given, strategies as st

from bundler.errors import InvalidReferenceError
from bundler.oci.digest import Digest
from bundler.oci.reference import (
    ImageReference,
    is_domain,
    is_repository_path,
    is_tag,
)
from tests import strategies

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("org/app", "docker.io/org/app"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/nginx:1", "docker.io/library/nginx:1"),
        ("index.docker.io/org/app", "docker.io/org/app"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("host:5000/app", "host:5000/app"),
        ("example.com/app", "example.com/app"),
        ("Example/app", "Example/app"),  # a repository has no capitals, so this is a host
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("[::1]/app", "[::1]/app"),
        ("127.0.0.1:5000/a/b/c:t", "127.0.0.1:5000/a/b/c:t"),
        (f"app:1@{DIGEST}", f"docker.io/library/app:1@{DIGEST}"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}"),
        ("app:_T.1-x", "docker.io/library/app:_T.1-x"),
        ("org/a.b_c__d---e", "docker.io/org/a.b_c__d---e"),
    ],
)
def test_parse_accepts_references_that_docker_accepts(text, full):
    assert str(ImageReference.parse(text)) == full


def test_number_after_colon_is_a_port_only_before_a_slash():
    assert ImageReference.parse("host:5000").tag == "5000"
    assert ImageReference.parse("host:5000/app").domain == "host:5000"
    assert ImageReference.parse("host:5000/app:6000").tag == "6000"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a valid repository name"),
        ("/app", "is not a valid repository name"),
        ("app/", "is not a valid repository name"),
        ("a//b", "is not a valid repository name"),
        ("example.com/", "is not a valid repository name"),
        ("App", "must be in lower case"),
        ("example.com/App", "must be in lower case"),
        ("app:", "is not a valid tag"),
        ("app:-x", "is not a valid tag"),
        ("app:.x", "is not a valid tag"),
        ("app:a:b", "is not a valid tag"),
        ("app:" + "t" * 129, "is not a valid tag"),
        ("app:t\u00e4g", "is not a valid tag"),
        ("app:tag\n", "is not a valid tag"),
        ("app@", "digest"),
        (f"app@{DIGEST[:-1]}", "digest"),
        (f"app@{DIGEST}@{DIGEST}", "digest"),
        (f"app@sha256:{HEX.upper()}", "digest"),
        (HEX, "image ID"),
        ("-a", "is not a valid repository name"),
        ("a-", "is not a valid repository name"),
        ("a..b", "is not a valid repository name"),
        ("a___b", "is not a valid repository name"),
        ("a._b", "is not a valid repository name"),
        ("../etc", r"expected HOST\[:PORT\]"),
        ("host.example/../x", "is not a valid repository name"),
        ("exam_ple.com/app", r"expected HOST\[:PORT\]"),
        ("-host.com/app", r"expected HOST\[:PORT\]"),
        ("host:port/app", r"expected HOST\[:PORT\]"),
        ("host:99999/app", r"expected HOST\[:PORT\]"),
        ("a.b_c/app", r"expected HOST\[:PORT\]"),  # a dot indicates a host
        ("[abc]/app", "is not a valid repository name"),
        ("[::1/app", r"expected HOST\[:PORT\]"),
        ("[:::]:5000/app", r"expected HOST\[:PORT\]"),
        ("https://example.com/app", r"expected HOST\[:PORT\]"),
        ("ap p", "is not a valid repository name"),
        ("example.com/" + "a" * 256, "longer than 255"),
    ],
)
def test_parse_names_the_invalid_part(text, reason):
    with pytest.raises(InvalidReferenceError, match=reason):
        ImageReference.parse(text)


def test_path_limit_of_255_characters_excludes_the_host():
    path = "a" * 255
    assert ImageReference.parse(f"registry.example.com:5000/{path}").path == path
    assert is_repository_path(path)
    assert not is_repository_path(path + "a")


def test_64_hexadecimal_digits_alone_are_an_id():
    assert ImageReference.parse(f"example.com/{HEX}").path == HEX
    assert ImageReference.parse(f"{HEX}:1").tag == "1"
    assert ImageReference.parse(HEX[:-1]).path == f"library/{HEX[:-1]}"


@given(strategies.references)
def test_text_of_reference_parses_to_same_reference(reference):
    assert ImageReference.parse(str(reference)) == reference


@given(st.text(max_size=80))
@example("docker.io/library/")
@example("a:b/c@d")
def test_arbitrary_text_is_refused_or_round_trips(text):
    try:
        reference = ImageReference.parse(text)
    except InvalidReferenceError:
        return
    assert ImageReference.parse(str(reference)) == reference
    assert is_domain(reference.domain)
    assert is_repository_path(reference.path)
    assert reference.tag is None or is_tag(reference.tag)


@given(st.text("abA1.:/@[]_-", max_size=30))
def test_parse_of_malformed_references_raises_only_its_own_error(text):
    with suppress(InvalidReferenceError):
        assert ImageReference.parse(text).repository


def test_version_is_the_digest_if_present():
    both = ImageReference.parse(f"app:1@{DIGEST}")
    assert both.version == DIGEST
    assert ImageReference.parse("app:1").version == "1"
    assert ImageReference.parse("app").version is None


def test_latest_is_added_only_without_tag_and_digest():
    assert ImageReference.parse("app").with_default_tag().tag == "latest"
    assert ImageReference.parse("app:1").with_default_tag().tag == "1"
    pinned = ImageReference("docker.io", "library/app", digest=Digest(DIGEST))
    assert pinned.with_default_tag() is pinned


@pytest.mark.parametrize("text", ["user:hunter2@host/app", "https://user:hunter2@host:1/a:b@c/d"])
def test_password_before_host_is_redacted(text):
    with pytest.raises(InvalidReferenceError) as caught:
        ImageReference.parse(text)
    assert "hunter2" not in caught.value.message


def test_very_long_text_is_refused_immediately():
    with pytest.raises(InvalidReferenceError) as caught:
        ImageReference.parse("a-" * 500_000)
    assert len(caught.value.message) < 500


# Skopeo of Debian 12 supports neither IPv6 hosts nor paths of 255 characters.
SAME_AS_SKOPEO = [
    "127.0.0.1:1/a",
    "127.0.0.1:1/a/b.c/d__e/f---g",
    "127.0.0.1:1/a:T.a_g-1",
    f"127.0.0.1:1/a@{DIGEST}",
    f"127.0.0.1:1/{HEX}",
    "127.0.0.1:1/a:5000",
    "127.0.0.1:1/A",
    "127.0.0.1:1/a:",
    "127.0.0.1:1/a:-t",
    "127.0.0.1:1/a:b:c",
    "127.0.0.1:1/a:" + "t" * 128,
    "127.0.0.1:1/a:" + "t" * 129,
    "127.0.0.1:1/",
    "127.0.0.1:1//a",
    "127.0.0.1:1/a/",
    "127.0.0.1:1/-a",
    "127.0.0.1:1/a-",
    "127.0.0.1:1/a._b",
    "127.0.0.1:1/a___b",
    "127.0.0.1:1/a b",
    "127.0.0.1:1/../a",
    "127.0.0.1:1/\u00e4",
    "127.0.0.1:1/a@sha256:00",
    f"127.0.0.1:1/a@sha256:{HEX.upper()}",
    f"127.0.0.1:1/a@{DIGEST}@{DIGEST}",
    f"127.0.0.1:1/a@{DIGEST}:t",
    "127.0.0.1:port/a",
    "127.0.0.1:/a",
    "127.0.0._1/a",
    "[abc]/a",
    HEX,
    "127.0.0.1:1/" + "a" * 300,
]


@pytest.mark.interop
@pytest.mark.parametrize("text", SAME_AS_SKOPEO)
def test_skopeo_accepts_and_refuses_the_same_references(text):
    """No server listens on port 1, so a well-formed reference results in a refused connection."""
    skopeo = shutil.which("skopeo")
    assert skopeo, "apt-get install skopeo"
    command = [skopeo, "inspect", "--raw", "--tls-verify=false", f"docker://{text}"]
    stated = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stderr
    accepted = "connection refused" in stated
    assert accepted or "refer" in stated or "repository name" in stated or "digest" in stated, (
        stated
    )
    try:
        ImageReference.parse(text)
    except InvalidReferenceError:
        assert not accepted, stated
    else:
        assert accepted, stated
