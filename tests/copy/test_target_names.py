"""The mapping of names to target names, and their comparison with the target."""

from __future__ import annotations

import pytest

from bundler.copy.target_names import NameMapping, compare_with_target, parse_rules
from bundler.errors import DigestConflictError, InvalidReferenceError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference
from tests.fakes.memory import MemoryStore

ROOT = Digest("sha256:" + "a" * 64)
OTHER = Digest.of(b"other")


def map_reference(reference, rename=None, rules=(), **settings):
    mapping = NameMapping(parse_rules(rules), **settings)
    return str(mapping.map_reference(ImageReference.parse(reference), ROOT, rename))


def test_host_is_removed_by_default():
    assert map_reference("docker.io/library/nginx:1.27") == "library/nginx:1.27"


def test_host_can_be_kept_with_its_port_after_a_hyphen():
    mapped = map_reference("reg.corp:5000/a/b:1", default="host-path")
    assert mapped == "reg.corp-5000/a/b:1"


def test_ipv6_address_is_kept_in_full_with_hyphens():
    """A path has neither colons nor brackets, and hyphens only between other characters."""
    full = "0000-0000-0000-0000-0000-0000-0000-0001"
    assert map_reference("[::1]:5000/a:1", default="host-path") == f"{full}-5000/a:1"
    assert map_reference("REG.corp/a:1", default="host-path") == "reg.corp/a:1"
    assert map_reference("[0:0::1]/a:1", default="host-path") == f"{full}/a:1"


@pytest.mark.parametrize(
    ("default", "mapped"), [("full", "quay.io/a/app:1-x"), ("basename", "app:1-x")]
)
def test_names_of_a_sync_are_kept_or_shortened_and_get_a_suffix(default, mapped):
    assert NameMapping(default=default, suffix="-x").map_name("quay.io/a/app:1") == mapped


def test_rules_come_before_the_default():
    mapping = NameMapping((("quay.io/a", "b"),), "basename")
    assert mapping.map_name("quay.io/a/app:1") == "b/app:1"
    assert mapping.map_name("quay.io/c/app:1") == "app:1"


def test_rename_of_the_bundle_manifest_comes_before_the_default():
    assert map_reference("ghcr.io/org/app:v2.1", rename="infra/app:v2.1") == "infra/app:v2.1"


def test_rules_come_before_the_bundle_manifest():
    rules = ["ghcr.io/org=team"]
    mapped = map_reference("ghcr.io/org/app:v2", rename="infra/app:v2", rules=rules)
    assert mapped == "team/app:v2"


def test_longest_match_wins():
    rules = ["docker.io=hub", "docker.io/library=lib", "docker.io/library/nginx=web"]
    assert map_reference("docker.io/library/nginx:1", rules=rules) == "web:1"
    assert map_reference("docker.io/library/redis:1", rules=rules) == "lib/redis:1"
    assert map_reference("docker.io/org/x:1", rules=rules) == "hub/org/x:1"


def test_match_ends_at_a_separator():
    rules = ["docker.io/library=no"]
    assert map_reference("docker.io/libraryx/y:1", rules=rules) == "libraryx/y:1"


def test_rule_can_change_the_tag():
    rules = ["docker.io/library/nginx:1.27=web/nginx:stable"]
    assert map_reference("docker.io/library/nginx:1.27", rules=rules) == "web/nginx:stable"


def test_image_without_a_tag_keeps_its_digest():
    assert map_reference(f"quay.io/a/b@{ROOT}") == f"a/b@{ROOT}"


def test_digest_of_former_index_is_replaced_by_digest_of_image():
    """A rename without a tag keeps the specified digest, even if platforms are removed."""
    reference = f"quay.io/app@{OTHER}"
    assert map_reference(reference, rename=f"mirror@{OTHER}") == f"mirror@{ROOT}"


@pytest.mark.parametrize("name", [f"mirror@{OTHER}", f"mirror:1@{OTHER}"])
def test_digest_of_another_image_is_refused(name):
    with pytest.raises(DigestConflictError, match="target name"):
        map_reference("quay.io/app:1", rename=name)


def test_tag_is_preferred_to_the_digest():
    assert map_reference(f"quay.io/a/b:1@{ROOT}") == "a/b:1"


def test_prefix_comes_first():
    assert map_reference("quay.io/a/b:1", prefix="mirror/x") == "mirror/x/a/b:1"


def test_invalid_target_name_is_refused():
    with pytest.raises(InvalidReferenceError):
        map_reference("quay.io/a/b:1", rules=["quay.io/a=UPPER"])


@pytest.mark.parametrize("text", ["", "nothing", "=x"])
def test_malformed_rule_is_refused(text):
    with pytest.raises(UsageError):
        parse_rules([text])


def test_contradicting_rules_are_refused():
    with pytest.raises(UsageError):
        parse_rules(["a=b", "a=c"])


def test_compare_with_target_finds_new_same_and_conflicting_names():
    store = MemoryStore()
    root = store.add_image("app", layers=[b"x"])
    names = [("missing", root.digest), ("app", root.digest), ("app", OTHER)]
    new, same, conflict = compare_with_target(names, store.source())
    assert (new.current, new.is_same, new.is_conflict) == (None, False, False)
    assert (same.current, same.is_same, same.is_conflict) == (root.digest, True, False)
    assert (conflict.current, conflict.is_same, conflict.is_conflict) == (root.digest, False, True)


def test_compare_with_target_reports_new_names_without_resolver():
    (state,) = compare_with_target([("app", OTHER)], None)
    assert state.current is None
