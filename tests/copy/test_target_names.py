"""Names inside."""

from __future__ import annotations

import pytest

from bundler.copy.target_names import NameMapping, parse_moves
from bundler.errors import InvalidReferenceError, MalformedError, UsageError
from bundler.oci.digest import Digest

ROOT = Digest("sha256:" + "a" * 64)


def inside(reference, rename=None, moves=(), **settings):
    return str(NameMapping(parse_moves(moves), **settings).inside(reference, ROOT, rename))


def test_the_host_is_left_out():
    assert inside("docker.io/library/nginx:1.27") == "library/nginx:1.27"


def test_the_host_can_be_kept_with_its_port_after_a_hyphen():
    assert inside("reg.corp:5000/a/b:1", keep_host=True) == "reg.corp-5000/a/b:1"


def test_an_ipv6_address_is_kept_in_full_with_hyphens() -> None:
    """A path has neither colons nor brackets, and hyphens only between other characters."""
    full = "0000-0000-0000-0000-0000-0000-0000-0001"
    assert inside("[::1]:5000/a:1", keep_host=True) == f"{full}-5000/a:1"
    assert inside("[0:0::1]/a:1", keep_host=True) == f"{full}/a:1"
    with pytest.raises(MalformedError, match="is not a registry's host"):
        inside("[:::]/a:1", keep_host=True)


def test_a_wish_of_the_bundle_manifest_comes_before_that():
    assert inside("ghcr.io/org/app:v2.1", rename="infra/app:v2.1") == "infra/app:v2.1"


def test_the_command_line_comes_before_the_bundle_manifest():
    moves = ["ghcr.io/org=team"]
    assert inside("ghcr.io/org/app:v2", rename="infra/app:v2", moves=moves) == "team/app:v2"


def test_the_longest_beginning_wins():
    moves = ["docker.io=hub", "docker.io/library=lib", "docker.io/library/nginx=web"]
    assert inside("docker.io/library/nginx:1", moves=moves) == "web:1"
    assert inside("docker.io/library/redis:1", moves=moves) == "lib/redis:1"
    assert inside("docker.io/org/x:1", moves=moves) == "hub/org/x:1"


def test_a_beginning_ends_at_a_separator():
    assert inside("docker.io/libraryx/y:1", moves=["docker.io/library=no"]) == "libraryx/y:1"


def test_a_whole_name_can_be_given_another_tag():
    moves = ["docker.io/library/nginx:1.27=web/nginx:stable"]
    assert inside("docker.io/library/nginx:1.27", moves=moves) == "web/nginx:stable"


def test_an_image_without_a_tag_keeps_its_digest():
    assert inside(f"quay.io/a/b@{ROOT}") == f"a/b@{ROOT}"


def test_a_tag_and_a_digest_together_are_called_by_the_tag():
    assert inside(f"quay.io/a/b:1@{ROOT}") == "a/b:1"


def test_a_prefix_comes_before_everything():
    assert inside("quay.io/a/b:1", prefix="mirror/x") == "mirror/x/a/b:1"


def test_an_impossible_name_is_refused():
    with pytest.raises(InvalidReferenceError, match="cannot be its name inside"):
        inside("quay.io/a/b:1", moves=["quay.io/a=UPPER"])


@pytest.mark.parametrize("text", ["", "nothing", "=x"])
def test_a_move_without_its_parts_is_refused(text):
    with pytest.raises(UsageError, match="what becomes"):
        parse_moves([text])


def test_two_moves_of_one_beginning_are_refused():
    with pytest.raises(UsageError, match="two things"):
        parse_moves(["a=b", "a=c"])


def test_a_reference_of_the_bundle_that_is_none_is_damage():
    with pytest.raises(MalformedError, match="not a repository's name"):
        inside("docker.io/../../etc:1")
