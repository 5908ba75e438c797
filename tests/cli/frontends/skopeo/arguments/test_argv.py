"""The parser of Skopeo's command line."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.cli.frontends.skopeo.arguments import argv, flag_tables
from bundler.errors import UsageError


def parsed(*words: str) -> argv.CommandLine:
    return argv.parse_command_line(words)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["-f", "oci"], {"format": "oci"}),
        (["-foci"], {"format": "oci"}),
        (["-f=oci"], {"format": "oci"}),
        (["--format=oci"], {"format": "oci"}),
        (["--format", "oci"], {"format": "oci"}),
        (["--format", "--all"], {"format": "--all"}),
        (["-aq"], {"all": True, "quiet": True}),
        (["-aqfoci"], {"all": True, "quiet": True, "format": "oci"}),
        (["-a=false"], {"all": False}),
        (["--all=F"], {"all": False}),
        (["--all", "--all=0"], {"all": False}),
        (["--src-tls-verify"], {"src-tls-verify": True}),
        (["--src-tls-verify=false"], {"src-tls-verify": False}),
        (["--additional-tag", "a,b", "--additional-tag=c"], {"additional-tag": ["a", "b", "c"]}),
        (["--retry-times=0x10"], {"retry-times": 16}),
        (["--retry-delay", "1m30s"], {"retry-delay": 90.0}),
        (["--encrypt-layer=-1,2"], {"encrypt-layer": ["-1", "2"]}),
        (["--dest-creds", "a:b=c"], {"dest-creds": "a:b=c"}),
        (["--tmpdir", "/x"], {"tmpdir": "/x"}),
    ],
)
def test_flags_are_accepted_anywhere_in_every_spelling(words: list[str], flags: object) -> None:
    for line in (
        parsed("copy", *words, "SRC", "DST"),
        parsed("copy", "SRC", *words, "DST"),
        parsed("copy", "SRC", "DST", *words),
        parsed("copy", *words, "--", "SRC", "DST"),
    ):
        assert (line.flags, line.arguments) == (flags, ["SRC", "DST"])


def test_words_after_two_dashes_are_arguments() -> None:
    assert parsed("inspect", "--", "--raw").arguments == ["--raw"]
    assert parsed("inspect", "-").arguments == ["-"]


def test_flags_before_the_command_are_global() -> None:
    line = parsed("--debug", "--policy", "copy", "--override-os=x", "inspect", "--raw", "x")
    assert line.command.name == "inspect"
    assert line.global_flags == {"debug": True, "policy": "copy", "override-os": "x"}
    assert line.flags == {"raw": True}
    with pytest.raises(UsageError) as refused:
        parsed("--raw", "inspect", "x")
    assert refused.value.message == "unknown flag: --raw"


@pytest.mark.parametrize("name", flag_tables.COMMANDS)
def test_every_command_has_help_and_unique_letters(name: str) -> None:
    assert parsed(name, "--help").is_set("help")
    assert parsed("help", name).command.name == name
    command = flag_tables.COMMANDS[name]
    letters = [flag.short for flag in command.find_flags().values() if flag.short]
    assert len(letters) == len(set(letters))
    assert {"debug", "policy", "help"} <= {*command.find_flags()}


@given(st.lists(st.text(), max_size=6))
def test_any_words_parse_or_raise_usage_error(words: list[str]) -> None:
    try:
        line = argv.parse_command_line(words)
    except UsageError as error:
        assert error.message  # noqa: PT017 - either is fine
    else:
        assert line.command in (*flag_tables.COMMANDS.values(), flag_tables.PROGRAM)
