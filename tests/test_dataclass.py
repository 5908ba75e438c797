"""The dataclass decorator creates the same classes as that of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import threading
from dataclasses import FrozenInstanceError, field, replace
from pathlib import Path

import pytest

import bundler
from bundler.dataclass import dataclass

BOTH = pytest.mark.parametrize("decorator", [dataclass, dataclasses.dataclass], ids=["own", "std"])


def create_class(decorator, **options):
    """Return a class with a field of each kind."""

    @decorator(**options)
    class Value:
        """Doc."""

        name: str
        size: int | None = None
        tags: list[str] = field(default_factory=list, hash=False)
        secret: str = field(default="", repr=False)
        note: str = field(default="", compare=False)
        length: int = field(init=False, compare=False)
        kind: str = field(default="fixed", init=False)
        seen: list[str] = field(default_factory=list, init=False, hash=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "length", len(self.name))

    return Value


@BOTH
@pytest.mark.parametrize("slots", [True, False], ids=["slots", "dict"])
@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "mutable"])
class TestMethods:
    """One test of both decorators shows that they agree."""

    def test_init_assigns_arguments_and_defaults(self, decorator, frozen, slots):
        value = create_class(decorator, frozen=frozen, slots=slots)
        first, second = value("a", 1), value("b", tags=["x"])
        assert (first.size, first.tags, first.kind, first.seen) == (1, [], "fixed", [])
        assert (second.size, second.tags, second.length) == (None, ["x"], 1)
        assert first.tags is not value("c").tags
        assert first.seen is not value("c").seen

    @pytest.mark.parametrize("arguments", [(), ("a", 1, [], "", "", 3)], ids=["few", "many"])
    def test_init_refuses_wrong_arguments(self, decorator, frozen, slots, arguments):
        value = create_class(decorator, frozen=frozen, slots=slots)
        for _ in range(2):  # the first call compiles
            with pytest.raises(TypeError, match=r"Value\.__init__\(\)"):
                value(*arguments)
        with pytest.raises(TypeError, match="kind"):
            value("a", kind="other")

    def test_repr_shows_fields(self, decorator, frozen, slots):
        value = create_class(decorator, frozen=frozen, slots=slots)("a", secret="hidden")
        shown = repr(value).rpartition(".")[2]
        expected = "name='a', size=None, tags=[], note='', length=1, kind='fixed', seen=[]"
        assert shown == f"Value({expected})"

    def test_equality_compares_class_and_fields(self, decorator, frozen, slots):
        value = create_class(decorator, frozen=frozen, slots=slots)
        other = create_class(decorator, frozen=frozen, slots=slots)
        assert value("a", note="x") == value("a", note="y")
        assert value("a") != value("b")
        assert value("a") != other("a")
        assert value("a") != "a"

    def test_hash_is_that_of_hashed_fields_if_frozen(self, decorator, frozen, slots):
        value = create_class(decorator, frozen=frozen, slots=slots)
        if frozen:
            assert hash(value("a", tags=["x"])) == hash(value("a", tags=["y"], note="z"))
            assert hash(value("a")) != hash(value("b"))
        else:
            assert value.__hash__ is None

    def test_attributes_of_frozen_values_cannot_change(self, decorator, frozen, slots):
        value = create_class(decorator, frozen=frozen, slots=slots)("a")
        if frozen:
            with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
                value.name = "b"
            with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
                del value.name
        else:
            value.name = "b"
        assert value.name == ("a" if frozen else "b")
        assert hasattr(value, "__dict__") is not slots

    def test_copies_are_equal(self, decorator, frozen, slots):
        value = create_class(decorator, frozen=frozen, slots=slots)("a", tags=["x"])
        assert copy.copy(value) == copy.deepcopy(value) == value
        assert replace(value, name="b").name == "b"
        assert copy.deepcopy(value).tags is not value.tags

    def test_pattern_matches_positions(self, decorator, frozen, slots):
        value = create_class(decorator, frozen=frozen, slots=slots)
        match value("a", 2):
            case value(name, size):
                assert (name, size) == ("a", 2)
            case _:
                pytest.fail("no match")

    def test_subclass_has_fields_of_both(self, decorator, frozen, slots):
        base = create_class(decorator, frozen=frozen, slots=slots)

        @decorator(frozen=frozen, slots=slots)
        class Derived(base):
            more: int = 0

        value = Derived("a", more=3)
        assert (value.name, value.more, value.length) == ("a", 3, 1)
        assert base("b").name == "b"
        assert value != base("a")


@BOTH
def test_own_methods_are_kept(decorator):
    @decorator(frozen=True, slots=True)
    class Value:  # noqa: PLW1641 - the decorator adds the hash
        name: str

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return True

    assert repr(Value("a")) == "own"
    assert Value("a") == Value("b")
    assert hash(Value("a")) == hash(Value("a"))


@BOTH
def test_identity_decides_without_eq(decorator):
    @decorator(frozen=True, slots=True, eq=False)
    class Value:
        name: str

    first = Value("a")
    assert first != Value("a")
    assert len({first, Value("a")}) == 2


@BOTH
def test_values_are_ordered_if_requested(decorator):
    @decorator(frozen=True, slots=True, order=True)
    class Value:
        name: str

    assert Value("a") < Value("b")


@BOTH
def test_class_without_fields(decorator):
    @decorator(frozen=True, slots=True)
    class Value:
        pass

    assert Value() == Value()
    assert hash(Value()) == hash(Value())


@BOTH
def test_repr_of_value_that_contains_itself_is_finite(decorator):
    @decorator(slots=True)
    class Value:
        items: list[object]

    value = Value([])
    value.items.append(value)
    assert "..." in repr(value)


@dataclass(frozen=True, slots=True)
class Stored:
    """A value that can be imported by its name."""

    name: str
    size: int = 0


def test_frozen_value_can_be_pickled():
    assert pickle.loads(pickle.dumps(Stored("a", 3))) == Stored("a", 3)


def test_values_can_be_created_by_several_threads_at_once():
    for _ in range(20):
        value = create_class(dataclass, frozen=True, slots=True)
        found: list[str] = []
        barrier = threading.Barrier(4)

        def create(value=value, barrier=barrier, found=found) -> None:
            barrier.wait()
            found.append(value("a").name)

        threads = [threading.Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["a"] * 4


def test_package_uses_this_decorator():
    """The one of the standard library delays each command that imports the module."""
    package = Path(bundler.__file__).parent
    direct = re.compile(r"^from dataclasses import .*\bdataclass\b", re.MULTILINE)
    found = [
        path
        for path in package.rglob("[!.]*.py")
        if path.name != "dataclass.py" and direct.search(path.read_text())
    ]
    assert [path.name for path in found] == []
