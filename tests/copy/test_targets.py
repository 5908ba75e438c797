"""Comparison of target names with the target."""

from __future__ import annotations

from bundler.copy.targets import compare_with_target
from bundler.oci.digest import Digest
from tests.fakes.memory import MemoryStore

OTHER = Digest.of(b"other")


def test_names_are_new_same_or_in_conflict():
    store = MemoryStore()
    root = store.add_image("app", layers=[b"x"])
    names = [("missing", root.digest), ("app", root.digest), ("app", OTHER)]
    new, same, conflict = compare_with_target(names, store.source())
    assert (new.current, new.is_same, new.is_conflict) == (None, False, False)
    assert (same.current, same.is_same, same.is_conflict) == (root.digest, True, False)
    assert (conflict.current, conflict.is_same, conflict.is_conflict) == (root.digest, False, True)


def test_without_a_resolver_every_name_is_new():
    (state,) = compare_with_target([("app", OTHER)], None)
    assert state.current is None
