"""YAML parser: scalars remain text, values have positions, hostile input is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from bundler.config.yaml import document
from bundler.config.yaml.document import MappingNode, ScalarNode, SequenceNode, YamlMistakes
from bundler.errors import InvalidBundleManifestError, LimitError, NotFoundError


def parse(text: str) -> document.Value:
    mistakes = YamlMistakes()
    value = document.parse(document.decode(text.encode(), "f.yaml"), "f.yaml", mistakes)
    mistakes.raise_if_any()
    return value


def mistakes(text: str) -> list[str]:
    with pytest.raises(InvalidBundleManifestError) as caught:
        parse(text)
    return list(caught.value.findings)


@pytest.mark.parametrize("scalar", ["1.10", "0x10", "no", "2026-01-31", "1_000", "1e3", "012", "~"])
def test_scalar_is_text_as_written(scalar):
    assert parse(f"key: {scalar}") == {"key": scalar}


def test_values_and_keys_have_positions():
    value = parse("a: x\nlist:\n  - y\n  - {b: z}\n")
    assert isinstance(value, MappingNode)
    assert str(value.key_at["list"]) == "f.yaml:2:1"
    items = value["list"]
    assert isinstance(items, SequenceNode)
    assert [str(item.at) for item in items] == ["f.yaml:3:5", "f.yaml:4:5"]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\n\n"])
def test_empty_file_is_refused(text):
    assert mistakes(text) == ["f.yaml:1:1: the file is empty"]


def test_empty_scalar_is_null_unless_quoted():
    value = parse("a:\nb: ''\nc: 'null'\nd: null")
    assert isinstance(value, MappingNode)
    nulls = [key for key, item in value.items() if isinstance(item, ScalarNode) and item.is_null]
    assert nulls == ["a", "d"]


def test_duplicate_keys_are_reported_with_first_line():
    assert mistakes("a: 1\nb: 2\na: 3\nb: 4\n") == [
        "f.yaml:3:1: duplicate key `a`, first at line 1",
        "f.yaml:4:1: duplicate key `b`, first at line 2",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b\n\tc: d\n", "f.yaml:2:1: tab in the indentation"),
        ("a: 1\n--- \nb: 2\n", "f.yaml:2:1: a second document"),
        ("a: *b\n", "f.yaml:1:4: undefined alias *b"),
        ("a: &x [*x]\n", "f.yaml:1:8: undefined alias *x"),
        ("a: &x {b: c}\nd: {<<: *x}\n", "f.yaml:2:5: merge keys (<<) are not supported;"),
        ("? [a]\n: b\n", "f.yaml:1:3: the key is not a scalar"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: the tag"),
        ("a: !!binary eA==\n", "f.yaml:1:4: the tag"),
        ("a: 'b\n", "invalid YAML"),
        ("a: b: c\n", "f.yaml:1:5: invalid YAML"),
        ("a: [\n b\n", "that begins at line 1"),
        ("a: \x07\n", r"f.yaml:1:4: the character '\x07' is not allowed"),
        ("a: \x00\n", r"f.yaml:1:4: the character '\x00' is not allowed"),
    ],
)
def test_mistake_is_reported_in_one_line_with_position(text, expected):
    (line,) = mistakes(text)
    assert expected in line
    assert "\n" not in line


ALLOWED = "\t\n\r ~\x85\xa0\ud7ff\ue000\ufefe\uff00\ufffd\U00010000\U0010ffff"
"""The ends of the ranges of allowed characters."""


@pytest.mark.parametrize("char", ALLOWED, ids=ascii)
def test_printable_character_is_allowed(char):
    assert document.decode(f"# {char}".encode(), "f.yaml") == f"# {char}"


@pytest.mark.parametrize(
    "char", "\x00\x08\x0b\x0c\x0e\x1f\x7f\x84\x86\x9f\ufeff\ufffe\uffff", ids=ascii
)
def test_other_character_is_refused(char):
    with pytest.raises(InvalidBundleManifestError, match="is not allowed"):
        document.decode(f"# {char}".encode(), "f.yaml")


def test_alias_yields_anchored_value():
    assert parse("a: &x [1, 2]\nb: *x\n") == {"a": ["1", "2"], "b": ["1", "2"]}


def test_invalid_utf8_is_refused_with_position():
    with pytest.raises(InvalidBundleManifestError) as raised:
        document.decode(b"a: b\nc: \xff\n", "f.yaml")
    assert raised.value.findings == ("f.yaml:2:4: not UTF-8 text",)


def test_byte_order_mark_is_ignored():
    assert document.decode(b"\xef\xbb\xbfa: b", "f.yaml") == "a: b"


def _bomb(levels: int) -> str:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]", *lines])


def _tower(levels: int) -> str:
    """Return aliases, each of which is nested one level deeper than the previous one."""
    return "\n".join(["a0: &a0 x"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, levels)])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_bomb(12), id="aliases that multiply"),
        pytest.param(_tower(200), id="aliases that pile up"),
        pytest.param("[" * 50_000, id="deep lists"),
        pytest.param("{a: " * 50_000, id="deep mappings"),
        pytest.param("- " * 50_000, id="deep blocks"),
        pytest.param("- a\n" * 200_000, id="many values"),
    ],
)
def test_excessive_nesting_or_expansion_is_refused(text):
    with pytest.raises(
        LimitError, match=r"^f\.yaml:\d+:\d+: (nested deeper|more) than [\d,]+ \w+$"
    ):
        parse(text)


def test_large_file_is_refused_before_parsing(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (document.MAX_BYTES + 1))
    with pytest.raises(LimitError):
        document.read_bytes(path)


def test_missing_or_unreadable_file_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        document.read_bytes(tmp_path / "absent.yaml")
    with pytest.raises(InvalidBundleManifestError) as raised:
        document.read_bytes(tmp_path)
    assert len(raised.value.findings) == 1


def test_many_findings_are_truncated():
    text = "".join(f"k{n}: 1\n" for n in range(150)) * 2
    found = mistakes(text)
    assert len(found) == document.MAX_MISTAKES + 1
    assert found[-1] == "and more; correct these 100 first"


def test_findings_contain_no_control_characters():
    (line,) = mistakes('"a\\e[2J\\nb": 1\n"a\\e[2J\\nb": 2\n')
    assert line == r"f.yaml:2:1: duplicate key `a\x1b[2J\nb`, first at line 1"


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%@#? \n\t0.,<~\x85\u2028é"), max_size=80))
@example("&a\n*a")
@example("? ? ?")
@example("!<")
@example("%YAML 9.9\n---\n")
def test_arbitrary_text_is_parsed_or_refused(text):
    try:
        value = parse(text)
    except (InvalidBundleManifestError, LimitError) as error:
        assert "f.yaml:" in str(error)  # noqa: PT017 - both outcomes are right
    else:
        assert isinstance(value, ScalarNode | SequenceNode | MappingNode)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_decoded_or_refused(data):
    try:
        document.decode(data, "f.yaml")
    except InvalidBundleManifestError as error:
        assert len(error.findings) == 1  # noqa: PT017 - both outcomes are right
