"""A set of paths contains exactly those that were added."""

from __future__ import annotations

from bundler.transports.containers_storage.drivers.path_set import PathSet
from tests import peak_memory
from tests.peak_memory import MIB

DEEP_PATHS = """
from bundler.transports.containers_storage.drivers.path_set import PathSet

paths = PathSet("layer")
for number in range(100):
    paths.add_with_parents((str(number), *["a"] * 1000))
"""


def test_set_contains_the_paths_that_were_added():
    paths = PathSet("layer")
    added = [("a", str(number), "\udcff") for number in range(5000)]
    assert all(paths.add(path) for path in added)
    assert not any(paths.add(path) for path in added)
    assert all(path in paths for path in added)
    assert () not in paths
    assert ("a",) not in paths
    assert ("a", "5000", "\udcff") not in paths
    assert ("a\udcff", "0") not in paths


def test_components_are_separate():
    paths = PathSet("layer")
    paths.add(("ab", "c"))
    assert ("a", "bc") not in paths
    assert ("abc",) not in paths


def test_parents_are_added_without_the_root():
    paths = PathSet("layer")
    paths.add_with_parents(("a", "b", "c"))
    assert [path in paths for path in ((), ("a",), ("a", "b"), ("a", "b", "c"))] == [
        False,
        True,
        True,
        True,
    ]


def test_deep_paths_take_little_memory():
    """Each path adds a thousand directories."""
    assert peak_memory.measure(DEEP_PATHS) < 48 * MIB
