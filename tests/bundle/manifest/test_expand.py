"""Expansion of a bundle manifest: selection of tags, target names, and one request per image."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.bundle.manifest import load
from bundler.bundle.manifest.expand import RenameRule, expand, find_target_name
from bundler.errors import ConflictError, InvalidReferenceError, NotFoundError, UsageError
from bundler.gocompat.regexp import GoExpression
from bundler.oci.reference import ImageReference
from bundler.oci.tag_filter import Latest, TagSelection, choose, natural_key, parse_range

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.copy.image import ImageRequest
    from bundler.ports import Reference

DIGEST = "sha256:" + "a" * 64
TAGS = [
    "7.0", "7.2.5", "v7.2.10", "7.2", "7", "6.9.9", "8.0.0", "7.4.0-rc1", "7.0-alpine", "latest",
    "1.2.3.4", "7.2.10_build5", "20240101", "edge",
]  # fmt: skip


def patterns(*texts: str) -> tuple[GoExpression, ...]:
    return tuple(map(GoExpression.parse, texts))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (">=7.0 <8", ["7", "7.0", "7.2", "7.2.5", "7.2.10_build5", "v7.2.10"]),
        (">=7.0, <8", ["7", "7.0", "7.2", "7.2.5", "7.2.10_build5", "v7.2.10"]),
        ("^7.2", ["7.2", "7.2.5", "7.2.10_build5", "v7.2.10"]),
        ("~7.2.5", ["7.2.5", "7.2.10_build5", "v7.2.10"]),
        ("7.2.x || 6", ["6.9.9", "7.2", "7.2.5", "7.2.10_build5", "v7.2.10"]),
        ("7.2.5 - 7.2.9", ["7.2.5"]),
        ("=7.2.5", ["7.2.5"]),
        ("=> 7.2.6 =< 7.3", ["7.2.10_build5", "v7.2.10"]),
        (">=7.4.0-rc1 <7.4.0", ["7.4.0-rc1"]),
        ("8", ["8.0.0"]),
        (">8", ["20240101"]),
        ("v6", ["6.9.9"]),
    ],
)
def test_range_excludes_prereleases_that_it_does_not_specify(text, expected):
    assert choose(TagSelection(semver=parse_range(text)), TAGS) == expected


@pytest.mark.parametrize(
    "text", ["new", ">=", "1.2 <", ">=7.0 garbage", "1.2.3.4", "!=1", "|| ||", "1" * 300, "- 1", ""]
)
def test_invalid_range_is_refused(text):
    with pytest.raises(UsageError):
        parse_range(text)


@pytest.mark.parametrize(
    ("latest", "offered", "expected"),
    [
        (Latest(2), TAGS[:6], ["7.2.5", "v7.2.10"]),
        (Latest(1), ["2.0-rc1", "1.9", "1.10", "x"], ["1.10"]),
        (Latest(1), ["3.9-alpine", "3.10-alpine", "edge"], ["3.10-alpine"]),
        (Latest(1), ["2.0.0-rc.9", "2.0.0-rc.10", "2.0.0-beta"], ["2.0.0-rc.10"]),
        (Latest(9), ["1.0", "2.0"], ["1.0", "2.0"]),
        (Latest(2, "tag"), ["r9", "r10", "r8"], ["r9", "r10"]),
        (Latest(1, "tag"), ["2024-09-30", "2024-10-01"], ["2024-10-01"]),
    ],
)
def test_latest_selects_by_version_or_in_natural_order(latest, offered, expected):
    assert choose(TagSelection(latest=latest), offered) == expected


def test_selected_tags_meet_all_conditions():
    select = TagSelection(
        tags=("7.2", "7.2.5", "6.9.9", "edge"),
        semver=">=7",
        include=patterns("2", "5"),
        exclude=patterns("5$"),
        latest=Latest(5),
    )
    assert choose(select, TAGS) == ["7.2"]


def test_expression_matches_anywhere_in_a_tag():
    assert choose(TagSelection(include=patterns("rc", "^ed")), TAGS) == ["7.4.0-rc1", "edge"]


def test_selection_reports_all_missing_tags():
    with pytest.raises(NotFoundError, match=r"no such tag: a, c \(the repository has 14 tags\)"):
        choose(TagSelection(tags=("a", "7.2", "c")), TAGS)


def test_empty_selection_is_reported_with_its_conditions():
    select = TagSelection(semver=">=9 <10", exclude=patterns("-rc"))
    with pytest.raises(
        NotFoundError,
        match=r"no tag matches semver '>=9 <10' .* 14 tags",
    ):
        choose(select, TAGS)


def test_invalid_tags_of_a_registry_are_ignored():
    assert choose(TagSelection(), ["ok", "../up", "a b", "x" * 129, "", "-a"]) == ["ok"]


VERSIONS = st.builds(
    "{}.{}.{}{}".format,
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 300),
    st.sampled_from(["", "", "-rc1", "-alpine"]),
)


@given(st.lists(VERSIONS, min_size=1, unique=True), st.integers(1, 5), st.randoms())
def test_selection_does_not_depend_on_order_of_tags(tags, count, shuffler):
    shuffled = list(tags)
    shuffler.shuffle(shuffled)
    for select in (
        TagSelection(),
        TagSelection(latest=Latest(count)),
        TagSelection(latest=Latest(count, "tag")),
    ):
        assert choose(select, shuffled) == choose(select, tags)


@given(st.lists(VERSIONS, min_size=1, unique=True), st.integers(1, 5))
def test_no_excluded_tag_is_newer_than_a_selected_one(tags, count):
    def key(tag: str) -> tuple[int, ...]:
        return tuple(map(int, tag.split(".")))

    stable = [tag for tag in tags if "-" not in tag]
    chosen = choose(TagSelection(latest=Latest(count)), tags)
    assert len(chosen) <= count
    if stable:
        rest = [key(tag) for tag in stable if tag not in chosen]
        assert len(chosen) == min(count, len(stable))
        assert not rest or max(rest) < min(key(tag) for tag in chosen)


@given(st.lists(VERSIONS), VERSIONS)
def test_range_compares_version_numbers(tags, bound):
    bound = bound.partition("-")[0]
    limit = tuple(map(int, bound.split(".")))
    expected = {tag for tag in tags if "-" not in tag and tuple(map(int, tag.split("."))) >= limit}
    select = TagSelection(semver=parse_range(f">={bound}"))
    if expected:
        assert set(choose(select, tags)) == expected
    else:
        with pytest.raises(NotFoundError):
            choose(select, tags)


@given(st.from_regex(r"\A[\w][\w.-]{0,20}\Z"), st.from_regex(r"\A[\w][\w.-]{0,20}\Z"))
def test_natural_order_is_total_and_distinguishes_all_tags(first, second):
    assert (natural_key(first) == natural_key(second)) == (first == second)
    assert (natural_key(first) < natural_key(second)) != (natural_key(second) <= natural_key(first))


RULES = (
    RenameRule(GoExpression.parse("^docker.io/library/(?P<path>.+)$"), "mirror/{path}", "m:1"),
    RenameRule(GoExpression.parse("^(?P<host>[^/]+)/(?P<path>[^:@]+)"), "all/{host}/{path}", "m:2"),
)


@pytest.mark.parametrize(
    ("reference", "rename", "rules", "expected"),
    [
        ("docker.io/library/nginx:1", None, (), None),
        ("docker.io/library/nginx:1", "web/nginx:stable", RULES, "web/nginx:stable"),
        ("docker.io/library/nginx:1", "web/nginx", RULES, "web/nginx:1"),
        (f"quay.io/a/b@{DIGEST}", "web/b", (), f"web/b@{DIGEST}"),
        ("docker.io/library/nginx:1", None, RULES, "mirror/nginx:1"),
        (f"docker.io/library/nginx:1@{DIGEST}", None, RULES, "mirror/nginx:1"),
        (f"docker.io/library/nginx@{DIGEST}", None, RULES, f"mirror/nginx@{DIGEST}"),
        ("registry.corp:5000/a/b:1", None, RULES, "all/registry.corp-5000/a/b:1"),
        ("[::1]:5000/a/b:1", None, RULES, "all/0000-0000-0000-0000-0000-0000-0000-0001-5000/a/b:1"),
        ("quay.io/a/b:1", None, RULES[:1], None),
    ],
)
def test_target_name_is_from_the_entry_or_the_first_matching_rule(
    reference, rename, rules, expected
):
    assert find_target_name(ImageReference.parse(reference), rename, rules) == expected


@pytest.mark.parametrize("key", ["exclude: {{images: ['{}']}}", "rename: [{{match: '{}', to: a}}]"])
def test_expression_of_manifest_takes_linear_time(tmp_path: Path, key: str):
    text = "name: plant\nimages: [quay.io/a/" + "a" * 120 + "b:1]\n"
    (tmp_path / "m.yaml").write_text(text + key.format("^quay.io/a/(a+)+$"))
    started = time.perf_counter()
    expand(load.load(tmp_path / "m.yaml", environment={}), lambda _: [])
    assert time.perf_counter() - started < 1


def test_rule_that_creates_an_invalid_name_is_reported():
    rules = (RenameRule(GoExpression.parse("(?P<x>:.*)?"), "A{x}", "m.yaml:9"),)
    with pytest.raises(InvalidReferenceError, match=r"^m\.yaml:9: the rename rule creates 'A'"):
        find_target_name(ImageReference.parse("quay.io/a/b:1"), None, rules)


@pytest.fixture
def expand_text(tmp_path):
    def expand_text(text: str, **tags: list[str]) -> list[ImageRequest]:
        path = tmp_path / "m.yaml"
        path.write_text(text)
        listed = []

        def list_tags(repository: Reference) -> list[str]:
            listed.append(str(repository))
            return tags[str(repository).rpartition("/")[2]]

        requests = expand(load.load(path, environment={}), list_tags)
        assert len(listed) == len(set(listed))
        return list(requests)

    return expand_text


def test_images_are_in_order_of_manifest_and_tags_in_natural_order(expand_text):
    requests = expand_text(
        "defaults: {platforms: [linux/arm64]}\n"
        "images:\n"
        "  - b:1\n"
        "  - {repo: quay.io/x/app, select: {regex: {include: ['^1']}}, rename: infra/app}\n"
        "  - {ref: a:1, platforms: all}\n",
        app=["1.10", "2", "1.9"],
    )
    assert [(image.display_name, str(image.source), image.rename) for image in requests] == [
        ("docker.io/library/b:1", "docker://docker.io/library/b:1", None),
        ("quay.io/x/app:1.9", "docker://quay.io/x/app:1.9", "infra/app:1.9"),
        ("quay.io/x/app:1.10", "docker://quay.io/x/app:1.10", "infra/app:1.10"),
        ("docker.io/library/a:1", "docker://docker.io/library/a:1", None),
    ]
    assert [image.selection.index for image in requests] == ["strip", "strip", "strip", "all"]
    assert requests[1].origin == "m.yaml:4"


def test_missing_tags_of_all_repositories_are_reported_together(expand_text):
    with pytest.raises(NotFoundError) as caught:
        expand_text(
            "images:\n"
            "  - {repo: quay.io/x/app, select: {tags: ['1', '2']}}\n"
            "  - {repo: quay.io/x/db, select: {semver: '>=9'}}\n"
            "  - {repo: quay.io/x/app, select: {tags: ['3']}}\n",
            app=["3"],
            db=["8.0.0"],
        )
    assert str(caught.value).splitlines() == [
        "m.yaml:2: quay.io/x/app: no such tag: 1, 2 (the repository has 1 tag)",
        "m.yaml:3: quay.io/x/db: no tag matches semver '>=9' (the repository has 1 tag)",
    ]


def test_exclusion_applies_to_all_entries(expand_text):
    requests = expand_text(
        "images:\n"
        "  - nginx:1-debug\n"
        "  - {repo: quay.io/x/app, select: {semver: '*'}}\n"
        "exclude: {images: ['-debug$', '^quay\\.io/x/app:2']}\n"
        "rename: [{match: '-debug', to: 'NO'}]\n",
        app=["1", "2"],
    )
    assert [image.display_name for image in requests] == ["quay.io/x/app:1"]


def test_exclusion_of_all_images_is_refused(expand_text):
    with pytest.raises(NotFoundError):
        expand_text("images: [a:1]\nexclude: {images: [a]}")


def test_equal_requests_for_an_image_are_merged(expand_text):
    requests = expand_text(
        "images:\n"
        "  - quay.io/x/app:1\n"
        "  - docker://quay.io/x/app:1\n"
        "  - {repo: quay.io/x/app, select: {tags: ['1', '2']}}\n",
        app=["1", "2"],
    )
    assert [(image.display_name, image.origin) for image in requests] == [
        ("quay.io/x/app:1", "m.yaml:2"),
        ("quay.io/x/app:2", "m.yaml:4"),
    ]


@pytest.mark.parametrize(
    ("more", "subjects"),
    [
        ("platforms: [linux/amd64]", ("platforms", "index")),
        ("referrers: none", ("referrers",)),
        ("rename: x", ("target names",)),
    ],
)
def test_different_requests_for_an_image_are_a_conflict(expand_text, more, subjects):
    with pytest.raises(
        ConflictError, match=r"a:1: requested at m\.yaml:2 and at m\.yaml:3"
    ) as raised:
        expand_text(f"images:\n  - a:1\n  - {{ref: a:1, {more}}}\n")
    assert raised.value.subjects == subjects


def test_pinned_and_unpinned_request_for_a_tag_are_a_conflict(expand_text):
    with pytest.raises(ConflictError) as raised:
        expand_text(f"images: ['a:1', 'a:1@{DIGEST}']")
    assert raised.value.subjects == ("digests",)


def test_two_images_with_one_target_name_are_a_conflict(expand_text):
    with pytest.raises(ConflictError) as caught:
        expand_text(
            "images: [quay.io/x/app:1, ghcr.io/x/app:1]\n"
            "rename: [{match: '/(?P<path>.+)', to: 'mirror/{path}'}]\n"
        )
    assert str(caught.value) == (
        "quay.io/x/app:1 (m.yaml:1) and ghcr.io/x/app:1 (m.yaml:1)"
        " have the same target name mirror/x/app:1"
    )


def test_action_for_moved_tags_is_set_by_default_and_by_image(expand_text):
    first, second = expand_text(
        "defaults: {onTagMoved: warn}\nimages:\n  - a:1\n  - {ref: b:1, onTagMoved: fail}\n"
    )
    assert (first.on_tag_moved, second.on_tag_moved) == ("warn", "fail")
