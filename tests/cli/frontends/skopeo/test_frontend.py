"""Skopeo's voice: its command line as it reads it, and its log as it writes it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.cli.frontends import frontend
from bundler.cli.frontends.native.frontend import NativeFrontend
from bundler.cli.frontends.skopeo import (
    argument_checks,
    argv,
    commands,
    flag_tables,
    flag_values,
    logrus,
    progress,
    requests,
)
from bundler.cli.frontends.skopeo.frontend import SkopeoFrontend
from bundler.cli.options.global_options import ProgramOptions
from bundler.cli.runtime import host_platform
from bundler.cli.runtime.access import AccessSettings
from bundler.cli.runtime.context import CommandContext
from bundler.cli.runtime.environment import Environment
from bundler.config.registry_access import ANONYMOUS, Credentials, RegistryOverride
from bundler.copy.platform_selection import EVERYTHING, Selection
from bundler.errors import BundlerError, UsageError
from bundler.events import (
    BlobFinished,
    ImageDigests,
    ImageResolved,
    ImageStarted,
    Planned,
    Retrying,
    SyncFinished,
    WarningIssued,
)
from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from bundler.images.copy_image import CopyRequest
    from tests.cli.conftest import RunAirbundle

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


def parsed(*words: str) -> argv.CommandLine:
    return argv.parse(words)


ENVIRONMENT = Environment({}, 0)
HERE = host_platform.platform()


def context_of(line: argv.CommandLine) -> CommandContext:
    options = requests.global_options(line)
    return CommandContext(ENVIRONMENT, SkopeoFrontend(ENVIRONMENT), options)


def copy_request(*words: str) -> CopyRequest:
    line = parsed("copy", *words)
    return requests.copy_request(line, context_of(line))


# --- The command line.


@pytest.mark.parametrize(
    ("words", "said"),
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
def test_flags_stand_anywhere_and_in_every_spelling(words: list[str], said: object) -> None:
    for line in (
        parsed("copy", *words, "SRC", "DST"),
        parsed("copy", "SRC", *words, "DST"),
        parsed("copy", "SRC", "DST", *words),
        parsed("copy", *words, "--", "SRC", "DST"),
    ):
        assert (line.flags, line.arguments) == (said, ["SRC", "DST"])


def test_after_two_dashes_there_are_no_flags() -> None:
    assert parsed("inspect", "--", "--raw").arguments == ["--raw"]
    assert parsed("inspect", "-").arguments == ["-"]


def test_flags_before_the_command_are_the_programs() -> None:
    line = parsed("--debug", "--policy", "copy", "--override-os=x", "inspect", "--raw", "x")
    assert line.command.name == "inspect"
    assert line.program == {"debug": True, "policy": "copy", "override-os": "x"}
    assert line.flags == {"raw": True}
    with pytest.raises(UsageError, match="unknown flag: --raw"):
        parsed("--raw", "inspect", "x")


@pytest.mark.parametrize("name", flag_tables.COMMANDS)
def test_every_command_has_help_and_no_flag_twice(name: str) -> None:
    assert parsed(name, "--help").says("help")
    assert parsed("help", name).command.name == name
    command = flag_tables.COMMANDS[name]
    letters = [flag.short for flag in command.find().values() if flag.short]
    assert len(letters) == len(set(letters))
    assert {"debug", "policy", "help"} <= {*command.find()}


@given(st.lists(st.text(), max_size=6))
def test_whatever_is_typed_is_read_or_refused_in_one_way(words: list[str]) -> None:
    try:
        line = argv.parse(words)
    except UsageError as error:
        assert error.message  # noqa: PT017 - either is fine
    else:
        assert line.command in (*flag_tables.COMMANDS.values(), flag_tables.PROGRAM)


# --- Values.


@given(st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_in_every_base(number: int) -> None:
    sign, size = "-" if number < 0 else "", abs(number)
    for text in (f"{number}", f"{sign}{size:#x}", f"{sign}{size:#o}", f"{sign}{size:#b}"):
        assert flag_values.integer(text) == number


@pytest.mark.parametrize("text", ["", "-", "1_0", "0x", "0x_", "1__0", "0_x1", "08", "x", "1.0"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        flag_values.integer(text)


@pytest.mark.parametrize(("text", "number"), [("0x_1f", 31), ("0_17", 15), ("0b1_1", 3), ("+7", 7)])
def test_digits_may_be_grouped_after_a_prefix(text: str, number: int) -> None:
    assert flag_values.integer(text) == number


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc"])), min_size=1))
def test_lists_are_read_as_one_line_of_csv(items: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow(items)
    assert flag_values.fields(out.getvalue()) == items


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('a"b', 'parse error on line 1, column 2: bare " in non-quoted-field'),
        ('"a', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
        ('"a"b', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
    ],
)
def test_quotes_that_do_not_match(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        flag_values.fields(text)
    assert str(refused.value).startswith(reason.partition(", column")[0])


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    whole = hours * 3600 + minutes * 60 + seconds + millis / 1000
    text = f"{hours}h{minutes}m{seconds}.{millis:03}s"
    assert flag_values.duration(text) == pytest.approx(whole)
    assert flag_values.duration(f"-{text}") == pytest.approx(-whole)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
    ],
)
def test_what_is_no_duration(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        flag_values.duration(text)
    assert str(refused.value) == reason


# --- The log.


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("plain-word/1.2_3@x^+", "msg=plain-word/1.2_3@x^+"),
        ("two words", 'msg="two words"'),
        ("a:b", 'msg="a:b"'),
        ("", "msg="),
    ],
)
def test_an_entry_quotes_what_has_to_be(message: str, line: str) -> None:
    front = 'time="2026-04-01T12:00:00Z" level=fatal '
    assert logrus.entry("fatal", message, NOON) == f"{front}{line}\n"


def test_an_entry_has_its_zone_and_its_fields_in_order() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
    assert logrus.entry("info", "x", there, tagged=True, image="a b") == (
        'time="2026-04-01T06:30:00-05:30" level=info msg=x image="a b" tagged=true\n'
    )


# --- Requests.


def test_copy_selects_image_of_this_machine_by_default() -> None:
    assert copy_request("dir:a", "dir:b").selection == Selection(best=HERE)
    assert copy_request("-a", "dir:a", "dir:b").selection == EVERYTHING
    assert copy_request("--multi-arch", "all", "dir:a", "dir:b").selection == EVERYTHING
    index = copy_request("--multi-arch", "index-only", "dir:a", "dir:b").selection
    assert index == Selection(index_only=True)


@pytest.mark.parametrize(
    ("words", "manifest_format"),
    [
        (["dir:a", "oci:b"], "oci"),
        (["--format=v2s2", "dir:a", "oci-archive:b"], "oci"),
        (["--preserve-digests", "dir:a", "oci:b"], None),
        (["--format=v2s2", "dir:a", "dir:b"], "v2s2"),
        (["--format=", "dir:a", "dir:b"], None),
    ],
)
def test_layouts_get_oci_manifests_unless_digests_are_preserved(
    words: list[str], manifest_format: str | None
) -> None:
    assert copy_request(*words).conversion.manifest_format == manifest_format


@pytest.mark.parametrize(
    ("words", "compresses"),
    [
        (["dir:a", "docker://b/c"], True),
        (["dir:a", "oci:b"], True),
        (["--dest-oci-accept-uncompressed-layers", "dir:a", "oci:b"], False),
        (["--dest-oci-accept-uncompressed-layers", "dir:a", "docker://b/c"], True),
        (["dir:a", "dir:b"], False),
    ],
)
def test_uncompressed_layers_are_compressed_for_registries_and_layouts(
    words: list[str], compresses: bool
) -> None:
    assert copy_request(*words).conversion.compress_uncompressed is compresses


def test_compression_flags_have_no_effect_where_skopeo_does_not_compress() -> None:
    flags = ("--dest-compress-format=zstd", "--dest-compress-level=3")
    to_archive = copy_request(*flags, "dir:a", "docker-archive:b").conversion
    assert (to_archive.compression, to_archive.level) == (None, None)
    to_directory = copy_request("--dest-compress", *flags, "dir:a", "dir:b").conversion
    assert (to_directory.compression, to_directory.level) == ("zstd", 3)
    to_registry = copy_request("--dest-decompress", "dir:a", "docker://b/c").conversion
    assert to_registry.compression is None


def test_flags_without_a_side_apply_to_both(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--authfile=a", "--tls-verify=false", "--dest-authfile=b", "dir:a", "dir:b")
    line = parsed("copy", *words)
    source, destination = (requests.access(line, side).registry for side in ("src-", "dest-"))
    assert source == RegistryOverride(ANONYMOUS, authfile=Path("a"), tls_verify=False)
    assert destination == RegistryOverride(ANONYMOUS, authfile=Path("b"), tls_verify=False)
    argument_checks.warn(line)
    assert "'--tls-verify' is deprecated, instead use: --src-tls-verify" in capsys.readouterr().err


def test_registries_d_logs_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    argument_checks.warn(parsed("--registries.d=d", "copy", "dir:a", "dir:b"))
    logged = capsys.readouterr().err
    assert "level=warning" in logged
    assert "--registries.d has no effect yet" in logged


def test_compression_of_other_destinations_than_directories_logs_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ("--dest-compress", "--dest-decompress")
    argument_checks.warn(parsed("copy", *flags, "dir:a", "dir:b"))
    assert capsys.readouterr().err == ""
    argument_checks.warn(parsed("copy", *flags, "dir:a", "oci:b"))
    assert capsys.readouterr().err.count("can only be used if the destination transport") == 2


@pytest.mark.parametrize(
    ("words", "credentials"),
    [
        (["--creds=a:b:c"], Credentials("a", "b:c")),
        (["--username=a", "--password=b"], Credentials("a", "b")),
        (["--registry-token=t", "--username=a", "--password=b"], Credentials(registry_token="t")),
        (["--no-creds"], ANONYMOUS),
        (["--authfile=/none"], ANONYMOUS),
        (["--authfile=/dev/null"], None),
        (["--cert-dir=/"], None),
    ],
)
def test_credentials_of_a_registry(words: list[str], credentials: Credentials | None) -> None:
    registry = requests.access(parsed("inspect", *words, "docker://a/b")).registry
    assert registry is not None
    assert registry.credentials == credentials


def test_copy_accepts_old_names_of_credentials() -> None:
    line = parsed("copy", "--screds=a:b", "--dcreds=c:d", "dir:a", "dir:b")
    for side, credentials in (("src-", Credentials("a", "b")), ("dest-", Credentials("c", "d"))):
        assert requests.access(line, side) == AccessSettings(RegistryOverride(credentials))


def test_missing_certificate_directory_is_ignored() -> None:
    assert requests.access(parsed("inspect", "--cert-dir=/none", "docker://a/b")).registry is None


def test_sync_ignores_mistakes_in_its_file_and_refuses_existing_directories() -> None:
    line = parsed("sync", "--src=yaml", "--dest=dir", "--append-suffix=-x", "file", "to")
    request = requests.sync_request(line, context_of(line))
    assert request.question.lenient
    assert request.refuse_existing
    assert (request.naming.destination, request.naming.suffix) == ("to", "-x")


def test_global_options_stand_before_or_after_the_command() -> None:
    words = ("--override-arch=arm", "--command-timeout=2s", "--tmpdir=d")
    options = ProgramOptions(override_arch="arm", command_timeout=2.0, tmpdir=Path("d"))
    assert requests.global_options(parsed(*words, "inspect", "x")) == options
    assert requests.global_options(parsed("inspect", "x", *words)) == options


def test_password_without_username_is_refused_in_skopeos_words() -> None:
    with pytest.raises(UsageError, match="username must be specified when password"):
        argument_checks.check(parsed("inspect", "--password=x", "docker://a/b"))


def test_flags_that_sign_are_refused() -> None:
    with pytest.raises(UsageError, match="--sign-by is not supported by this program"):
        argument_checks.check_supported(parsed("copy", "--sign-by=x", "dir:a", "dir:b"))


# --- What is shown.


IMAGE = ImageDigests("sha256:m", "sha256:c", ("sha256:1", "sha256:2"))
OTHER = ImageDigests("sha256:n", "sha256:d", ("sha256:2",))
PLANNED = Planned(1, 1, 0, 0)


@pytest.fixture
def lines() -> progress.Lines:
    return progress.Lines(io.StringIO(), str, quiet=False, debug=False, dry_run=False)


def shown(lines: progress.Lines) -> list[str]:
    stream = lines._stream
    assert isinstance(stream, io.StringIO)
    return stream.getvalue().splitlines()


def test_a_copy_is_told_in_the_order_of_its_layers(lines: progress.Lines) -> None:
    with lines:
        lines.emit(ImageResolved((IMAGE,)))
        assert shown(lines) == []
        lines.emit(PLANNED)
        assert shown(lines)[-1] == "Copying blob sha256:2"
        lines.emit(BlobFinished("sha256:2"))
        lines.emit(BlobFinished("sha256:1"))
        assert shown(lines)[-1] == "Copying config sha256:c"
    assert shown(lines) == [
        "Getting image source signatures",
        "Copying blob sha256:1",
        "Copying blob sha256:2",
        "Copying config sha256:c",
        "Writing manifest to image destination",
    ]


def test_the_images_of_a_list_are_told_one_after_the_other(lines: progress.Lines) -> None:
    with lines:
        lines.emit(ImageResolved((IMAGE, OTHER), 3))
        lines.emit(PLANNED)
        lines.emit(BlobFinished("sha256:d"))
        assert "Copying image sha256:n (2/2)" not in shown(lines)
    told = shown(lines)
    assert told[:3] == [
        "Getting image list signatures",
        "Copying 2 images generated from 3 images in list",
        "Copying image sha256:m (1/2)",
    ]
    assert told.index("Copying image sha256:n (2/2)") > told.index("Copying config sha256:c")
    assert told[-2:] == ["Writing manifest list to image destination", "Storing list signatures"]


def test_of_a_copy_that_could_not_begin_nothing_is_told(lines: progress.Lines) -> None:
    lines.emit(ImageResolved((IMAGE,)))
    lines.__exit__(BundlerError, BundlerError("no"), None)
    assert shown(lines) == []


def test_what_a_failed_attempt_would_have_told_is_left_out(lines: progress.Lines) -> None:
    with lines:
        lines.emit(ImageResolved((OTHER,)))
        lines.emit(PLANNED)
        lines.emit(Retrying("x", 0.0, "it broke", 1, 1))
        lines.emit(ImageResolved((OTHER,)))
        lines.emit(PLANNED)
    told = shown(lines)
    assert told.count("Getting image source signatures") == 2
    assert told.count("Copying config sha256:d") == 1
    assert told[-1] == "Writing manifest to image destination"


def test_a_quiet_copy_tells_nothing() -> None:
    lines = progress.Lines(io.StringIO(), str, quiet=True, debug=False, dry_run=False)
    with lines:
        lines.emit(ImageResolved((IMAGE,)))
        lines.emit(PLANNED)
    assert shown(lines) == []


def test_warnings_go_to_the_log(lines: progress.Lines, capsys: pytest.CaptureFixture[str]) -> None:
    with lines:
        lines.emit(WarningIssued("odd"))
        lines.emit(Retrying("x", 0.1, "it broke", 1, 3, BundlerError("broken")))
        lines.emit(Retrying("x", 0.1, "one request of many", 1))
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" level=warning msg=odd")
    assert second.endswith(' msg="Failed, retrying in 100ms ... (1/3). Error: broken"')


def test_the_images_of_a_sync_are_logged_by_number(
    lines: progress.Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    with lines:
        lines.emit(ImageStarted("b", "y", 2, 2))
        lines.emit(ImageStarted("a", "x", 1, 2))
        lines.emit(SyncFinished(2, 1))
    logged = [line.partition("level=")[2] for line in capsys.readouterr().err.splitlines()]
    assert logged == [
        'info msg="Copying image ref 1/2" from=a to=x',
        'info msg="Copying image ref 2/2" from=b to=y',
        'info msg="Synced 2 images from 1 sources"',
    ]


# --- Whose voice it is.


def test_front_end_is_selected_by_the_first_argument_or_the_name_of_the_program() -> None:
    for program, arguments, rest, selected in (
        ("/usr/bin/skopeo", ["copy"], ["copy"], SkopeoFrontend),
        ("airbundle", ["--as", "skopeo", "copy"], ["copy"], SkopeoFrontend),
        ("airbundle", ["--as=skopeo"], [], SkopeoFrontend),
        ("skopeo", ["--as", "airbundle", "ls"], ["ls"], NativeFrontend),
        ("python", ["copy", "--as", "skopeo"], ["copy", "--as", "skopeo"], NativeFrontend),
    ):
        chosen, others = frontend.select(program, arguments, ENVIRONMENT)
        assert (type(chosen), others) == (selected, rest)


@pytest.mark.parametrize("arguments", [["--as", "podman", "ls"], ["--as=podman"]])
def test_unknown_front_end_is_refused(run_airbundle: RunAirbundle, arguments: list[str]) -> None:
    outcome = run_airbundle(*arguments)
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "--as: 'podman' is none of airbundle, skopeo" in outcome.stderr


def test_the_choice_of_a_voice_comes_first(run_airbundle: RunAirbundle) -> None:
    outcome = run_airbundle("--quiet", "--as", "skopeo", "ls", "x")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "--as has to stand before everything else" in outcome.stderr


def test_our_own_voice_loads_nothing_of_skopeos(run_airbundle: RunAirbundle) -> None:
    outcome = run_airbundle("ls", "--help", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert outcome.status == 0
    assert "bundler.cli.frontends.frontend" in outcome.stderr
    assert "bundler.cli.frontends.skopeo" not in outcome.stderr


def test_an_error_inside_is_one_line_too(run_airbundle: RunAirbundle) -> None:
    outcome = run_airbundle("--as", "skopeo", "inspect", "dir:/none")
    assert (outcome.status, outcome.stdout) == (1, "")
    assert outcome.stderr.count("\n") == 1
    quoted = outcome.stderr.partition("msg=")[2]
    assert json.loads(quoted) == (
        "Error retrieving manifest for image: open /none/manifest.json: no such file or directory"
    )


def test_commands_that_both_front_ends_have_are_complete() -> None:
    """Only commands about signatures are missing."""
    assert commands.COMMANDS.keys() <= flag_tables.COMMANDS.keys()
    missing = flag_tables.COMMANDS.keys() - commands.COMMANDS.keys()
    assert missing == {
        "generate-sigstore-key",
        "standalone-sign",
        "standalone-verify",
        "untrusted-signature-dump-without-verification",
    }


@pytest.mark.parametrize("name", ["standalone-sign", "generate-sigstore-key"])
def test_commands_about_signatures_are_refused(run_airbundle: RunAirbundle, name: str) -> None:
    outcome = run_airbundle("--as", "skopeo", name)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert f"`skopeo {name}` is not supported by this program" in outcome.stderr


@pytest.mark.parametrize("words", [["completion"], ["completion", "bash", "x"]])
def test_completion_takes_one_shell(run_airbundle: RunAirbundle, words: list[str]) -> None:
    outcome = run_airbundle("--as", "skopeo", *words)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert f"accepts 1 arg(s), received {len(words) - 1}" in outcome.stderr


def test_a_missing_file_of_credentials_is_one_without_any(run_airbundle, tmp_path):
    images.write_layout(tmp_path / "layout", {"app": images.image()})
    with FakeRegistry() as registry:
        images.push(registry.host, "app", images.image(), "1")
        name = f"docker://{registry.host}/app:1"
        flags = ("--authfile", "/none", "--tls-verify=false", "--no-tags")
        assert run_airbundle("--as", "skopeo", "inspect", *flags, name).status == 0
        assert run_airbundle("inspect", *flags, name).status == 2
