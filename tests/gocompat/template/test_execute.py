"""Templates print the same output as Go's text/template."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.errors import BundlerError, LimitError, TemplateError, UsageError
from bundler.gocompat.template.execute import render
from bundler.gocompat.values import NIL, NIL_MAP, NIL_SLICE, Struct, StructField, Time, Value

LAYER = Struct(
    "types.Layer",
    (
        StructField("Digest", "sha256:1"),
        StructField("Size", 12),
        StructField("Annotations", NIL_MAP),
    ),
)
DATA = Struct(
    "inspect.Output",
    (
        StructField("Name", "example.com/app"),
        StructField("Tag", ""),
        StructField("Created", Time.parse("2020-01-02T03:04:05.120Z", "test")),
        StructField("Never", NIL),
        StructField("Labels", {"b": "<1>", "a": 'ü"', "org.x": "y"}),
        StructField("NoLabels", NIL_MAP),
        StructField("Os", "linux"),
        StructField("Layers", ["sha256:1", "sha256:22"]),
        StructField("LayersData", [LAYER]),
        StructField("Env", ["PATH=/bin", 'A="q"']),
        StructField("NoEnv", NIL_SLICE),
    ),
)


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{{.Os}}", "linux"),
        ("{{.Created}} {{.Never}}", "2020-01-02 03:04:05.12 +0000 UTC <nil>"),
        ("{{.Labels}} {{.NoLabels}} {{.NoEnv}}", 'map[a:ü" b:<1> org.x:y] map[] []'),
        (
            '{{.Labels.a}} {{.Labels.z}} {{.NoLabels.z.z}} {{index .Labels "z"}}|',
            'ü" <no value> <no value> |',
        ),
        ('{{index .Labels "org.x"}} {{index .Layers 1}} {{index .Os 0}}', "y sha256:22 108"),
        ("{{.LayersData}} {{(index .LayersData 0).Size}}", "[{sha256:1 12 map[]}] 12"),
        ("{{json .Labels}} {{json .NoLabels}}", r'{"a":"ü\"","b":"<1>","org.x":"y"} null'),
        ("{{json .Created}} {{json .Env}}", r'"2020-01-02T03:04:05.12Z" ["PATH=/bin","A=\"q\""]'),
        ("{{range .Layers}}{{.}},{{end}}", "sha256:1,sha256:22,"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", 'a=ü" b=<1> org.x=y '),
        ("{{range $i, $v := .Env}}{{$i}}{{end}}{{range .NoEnv}}x{{else}}none{{end}}", "01none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{if .Tag}}a{{else if .Never}}b{{else}}c{{end}}", "c"),
        ("{{with .Tag}}a{{else with .Os}}{{.}}{{end}}", "linux"),
        ("{{with $x := .Os}}{{$x}} {{$.Name}}{{end}}", "linux example.com/app"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{$x}}{{end}}{{$x}}", "32"),
        ("{{len .Os}} {{len .Labels}} {{.NoEnv | len}} {{len `ü`}}", "5 3 0 2"),
        ('{{join .Layers ","}} {{split "a,b" ","}}', "sha256:1,sha256:22 [a b]"),
        ('{{upper .Os}} {{lower "AB"}} {{title "some-text it\'s"}}', "LINUX ab Some-Text It'S"),
        ("{{truncate .Os 3}} {{pad .Os 1 2}}|{{pad .Tag 1 2}}|", "lin  linux  ||"),
        ("{{slice .Os 1 3}} {{slice .Layers 1}}", "in [sha256:22]"),
        (
            "{{eq .Os `linux`}} {{eq 1 2 1}} {{ne 1 2}} {{lt 1 2}} {{ge `a` `b`}}",
            "true true true true false",
        ),
        ("{{and .Os .Tag}}|{{or .Tag .Os}}|{{not .Tag}}|{{or true .Nothing}}", "|linux|true|true"),
        ("{{print 1 2 `a` `b` 3}} {{println 1 `a`}}", "1 2ab3 1 a\n"),
        ("a  {{- .Os -}}  b {{- /* no\nthing */ -}} c", "alinuxbc"),
        ("{{/* x */}}{{.Os | printf `%s-%s` `a`}}", "a-linux"),
        (r'{{"a\tb\"\x41\u00e9"}} {{`\n`}}', 'a\tb"Aé \\n'),
        (
            "{{1_000}} {{0x10}} {{017}} {{0b11}} {{'a'}} {{-5}} {{1.50}} {{1e3}}",
            "1000 16 15 3 97 -5 1.5 1000",
        ),
    ],
)
def test_format_duration_matches_go(template: str, printed: str) -> None:
    assert render(template, DATA) == printed


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ('"%5s|%-6q|%d|%v" .Os .Os 3 .Env', 'linux|"linux"|3|[PATH=/bin A="q"]'),
        ('"%q" .Env', r'["PATH=/bin" "A=\"q\""]'),
        ('"%05d|%-4d|%+d|% d|%x|%X|%c" -42 4 4 4 255 255 65', "-0042|4   |+4| 4|ff|FF|A"),
        ('"%6.2f|%t|%.3s|%x|%%" 3.14159 true "abcdef" "ab"', "  3.14|true|abc|6162|%"),
        ('"%d" .Os', "%!d(string=linux)"),
        ('"%s %d" 1', "%!s(int=1) %!d(MISSING)"),
        ('"%s" .Os .Os 1', "linux%!(EXTRA string=linux, int=1)"),
        ('"%t %z" "a" 1', "%!t(string=a) %!z(int=1)"),
        ('"%"', "%!(NOVERB)"),
        ('"%s %v" .Never .Labels', '<nil> map[a:ü" b:<1> org.x:y]'),
    ],
)
def test_printf_prints_format_errors_like_go(template: str, printed: str) -> None:
    assert render(f"{{{{printf {template}}}}}", DATA) == printed


@pytest.mark.parametrize(
    "template",
    [
        "{{",
        "{{.Os",
        "{{.Os}",
        "{{end}}",
        "{{else}}",
        "{{if .Os}}",
        "{{if}}{{end}}",
        "{{}}",
        "{{if .Os}}{{else}}{{else}}{{end}}",
        "{{with .Os}}{{else if .Os}}{{end}}",
        "{{.Os end}}",
        "{{foo .Os}}",
        "{{nil}}",
        "{{.Os .Name}}",
        "{{.Os | .Name}}",
        '{{.Os | "x"}}',
        "{{$x}}",
        "{{$x = 1}}",
        "{{if false}}{{$x}}{{end}}",
        "{{1a}}",
        "{{'ab'}}",
        '{{"a}}',
        r'{{"\q"}}',
        r'{{"\ud800"}}',
        "{{9223372036854775808}}",
        "{{(.Os}}",
        "{{.Os)}}",
        "{{@}}",
        "{{. Os}}",
        "{{/* x}}",
        "{{define `x`}}{{end}}",
        "{{template `x`}}",
        "{{break}}",
        "{{1i}}",
        "{{0x}}",
    ],
)
def test_malformed_templates_are_refused(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, DATA)


@pytest.mark.parametrize(
    "template",
    [
        "{{.Nothing}}",
        "{{.Os.Nothing}}",
        "{{.Never.Year}}",
        "{{.Labels.a.b}}",
        "{{index .Layers 2}}",
        "{{index .Layers `a`}}",
        "{{index .Labels 1}}",
        "{{index .Os -1}}",
        "{{index 1 1}}",
        "{{len 3}}",
        "{{len .Never}}",
        "{{len}}",
        "{{eq 1 `a`}}",
        "{{eq .Env .Env}}",
        "{{eq 1}}",
        "{{lt true false}}",
        "{{join .Os `,`}}",
        "{{join .Env 1}}",
        "{{upper 1}}",
        "{{and}}",
        "{{pad .Os -1 1}}",
        "{{truncate .Os -1}}",
        "{{slice .Os 3 1}}",
        "{{slice .Os 9}}",
        "{{slice .Os 1 2 3}}",
        "{{range .Os}}{{end}}",
        "{{range .Never}}{{end}}",
        "{{slice 1}}",
        "{{printf `%#v` .Os}}",
        "{{printf `%*d` 1 2}}",
        "{{printf `%+v` .}}",
        "{{printf 1}}",
        "{{printf `%T` 1}}",
        "{{printf `%q` 1}}",
        "{{lt .Env 1}}",
        "{{range $i, $x := .Os}}{{end}}",
    ],
)
def test_missing_fields_are_reported(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, DATA)


def test_error_about_missing_field_lists_existing_fields() -> None:
    with pytest.raises(UsageError, match=r"field Nothing in type inspect\.Output") as caught:
        render("{{.Nothing}}", DATA)
    assert caught.value.hint is not None
    assert "Name, Tag, Created" in caught.value.hint


@pytest.mark.parametrize(
    "template",
    [
        "x" * 65_537,
        "{{if 1}}" * 50 + "{{end}}" * 50,
        "{{" + "(" * 50 + "1" + ")" * 50 + "}}",
        "{{range 99999999999}}{{end}}",
        "{{range 9999}}{{range 9999}}{{end}}{{end}}",
        "{{$x := `aaaaaaaa`}}{{range 60}}{{$x = print $x $x}}{{end}}",
        "{{printf `%1001d` 1}}",
        "{{printf `%99999999999999999999d` 1}}",
        "{{pad `a` 1001 1}}",
        "{{$x := printf `%1000d` 1}}{{range 100000}}{{$x}}{{end}}",
        (
            "{{$x := split (printf `%1000d` 1) ``}}{{$y := printf `%1000d` 1}}"
            "{{range 10}}{{$y = join $x $y}}{{end}}"
        ),
    ],
)
def test_template_that_exceeds_limit_is_refused(template: str) -> None:
    with pytest.raises(LimitError):
        render(template, DATA)


PARTS = st.sampled_from(
    [
        "{{",
        "}}",
        "{{-",
        "-}}",
        "(",
        ")",
        "|",
        ".",
        "$",
        "$x",
        ":=",
        "=",
        ",",
        ".Os",
        ".Labels",
        ".Env",
        ".Never",
        ".LayersData",
        ".a",
        "if",
        "else",
        "end",
        "range",
        "with",
        "and",
        "or",
        "not",
        "eq",
        "lt",
        "len",
        "index",
        "slice",
        "join",
        "split",
        "json",
        "printf",
        '"%s%d"',
        '"%5q"',
        "`r`",
        "1",
        "-1",
        "0x",
        "1e9",
        "'a'",
        "true",
        "nil",
        "upper",
        "pad",
        "truncate",
        "title",
        "/*",
        "*/",
        "\\n",
        "break",
        "%",
        "\\",
        "\x00",
        "é",
    ]
)


@given(st.lists(PARTS, max_size=14).map(" ".join) | st.text(max_size=40))
def test_arbitrary_template_is_printed_or_raises_bundler_error(template: str) -> None:
    for text in (template, f"{{{{{template}}}}}", f"{{{{range .Env}}}}{template}{{{{end}}}}"):
        _try(text, DATA)


@given(st.text(max_size=60))
def test_arbitrary_verb_is_printed_or_raises_bundler_error(verbs: str) -> None:
    template = "{{printf .Verbs .Text .Number .Map .Never 1.5 true}}"
    members = (
        StructField("Verbs", f"%{verbs}"),
        StructField("Text", verbs),
        StructField("Number", -3),
        StructField("Map", {verbs: verbs}),
        StructField("Never", NIL),
    )
    _try(template, Struct("test", members))


def _try(template: str, data: Value) -> None:
    try:
        assert isinstance(render(template, data), str)
    except BundlerError as error:
        assert error.message.startswith("template: ")  # noqa: PT017 - either may happen
