"""Version constraints have the semantics of Masterminds' semver 3.4."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.errors import UsageError
from bundler.gocompat.masterminds_semver import MAX_LENGTH, Constraint, Version


def allowed(constraint: str, *versions: str) -> list[str]:
    expected = Constraint.parse(constraint)
    return [version for version in versions if expected.allows(version)]


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        (">= 3.12.0", "3.12 3.12.0 v4 10.1", "3.11.9 2 3.12.0-rc1 latest 3.12.0_1"),
        (">=1.2, <3 || 4.x", "1.2 2.9.9 4.0.0 4.7", "1.1 3 5.0"),
        (">1.2 <2", "1.3.0 1.9", "1.2.0 1.2.9 2"),
        ("!=1.3", "1.2.9 1.4 2", "1.3.0 1.3.7 1.3"),
        ("!=1.3.1", "1.3.0 1.3.2", "1.3.1"),
        ("!=1", "0.9 2.0", "1.0 1.9.9"),
        (">=1, !=1.5.x", "1.4.9 1.6 2", "1.5.0 1.5.9 0.9"),
        ("1.2", "1.2.0 1.2.9", "1.3 1.1.9"),
        ("=1.2.3", "1.2.3 v1.2.3", "1.2.4"),
        ("1.2 - 1.4.5", "1.2.0 1.4.5", "1.4.6 1.1"),
        ("1 - 2", "1.0 2.9", "3.0"),
        ("^1.2.3", "1.2.3 1.9", "1.2.2 2.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"),
        ("^0.0.3", "0.0.3", "0.0.4 0.1.3"),
        ("^0", "0.0.1 0.9", "1.0"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"),
        ("~>2", "2.0 2.9", "3.0 1.9"),
        ("*", "0.0.1 7 1.2.3", "1.0-beta edge"),
        ("=> 1.5 =< 1.7", "1.5 1.7.9", "1.8 1.4.9"),
        ("<=1.7", "1.7.9 0.1", "1.8"),
        (">11", "12.0", "11.5"),
        (">=1.2.0-rc.1", "1.2.0-rc.1 1.2.0-rc.2 1.2.0 1.3.0-beta", "1.2.0-alpha"),
        (">=1.0.0-0, <2", "1.0.0-alpha 1.5.0-rc1", "0.9"),
        ("2 || >=1.0.0-0", "2.1 1.1.0-rc1 2.0.0-rc1", "0.1"),
    ],
)
def test_constraint_allows_matching_versions(constraint, inside, outside):
    assert allowed(constraint, *inside.split(), *outside.split()) == inside.split()


@pytest.mark.parametrize(
    "text",
    ["", "new", ">=", "==1", "1.2 <", "1.2.3.4", ">=1,", ",1", "1 || ", "1.0-01", "9" * 40,
     "1," * MAX_LENGTH],
)  # fmt: skip
def test_malformed_constraints_are_refused(text):
    with pytest.raises(UsageError):
        Constraint.parse(text)


def test_prereleases_precede_their_release_in_semver_order():
    ordered = [
        "1.0-alpha",
        "1.0-alpha.1",
        "1.0-alpha.beta",
        "1.0-beta.2",
        "1.0-beta.11",
        "1.0-rc.1",
        "1.0",
    ]
    versions = [version for version in map(Version.parse, ordered) if version]
    assert sorted(versions, key=lambda version: version.precedence) == versions
    assert len(versions) == len(ordered)


@pytest.mark.parametrize("tag", ["1.2.3_4", "1.0-01", "latest", "v", "1..2", "9" * 30, "1.2.3.4"])
def test_invalid_versions_never_match(tag):
    assert not Constraint.parse("*").allows(tag)


@given(st.text(alphabet="0123456789.xv*-+|,<>=!~^ rc", max_size=60))
def test_any_text_is_a_constraint_or_is_refused(text):
    try:
        constraint = Constraint.parse(text)
    except UsageError:
        return
    constraint.allows("1.2.3")
