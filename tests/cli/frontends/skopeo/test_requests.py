"""Command lines of Skopeo become requests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundler.cli.frontends.skopeo import requests
from bundler.cli.frontends.skopeo.arguments import argument_checks, argv
from bundler.cli.frontends.skopeo.frontend import SkopeoFrontend
from bundler.cli.options.command import GlobalOptions
from bundler.cli.runtime.context import AccessSettings, CommandContext, create_platform
from bundler.cli.runtime.environment import Environment
from bundler.config.registry_access import ANONYMOUS, Credentials, RegistryOverride
from bundler.copy.resolving.platform_selection import EVERYTHING, PlatformSelection
from bundler.errors import UsageError
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from bundler.images.copy_image import CopyRequest


def parsed(*words: str) -> argv.CommandLine:
    return argv.parse_command_line(words)


ENVIRONMENT = Environment({}, 0)
HERE = create_platform(os.uname().sysname, os.uname().machine)


def context_of(line: argv.CommandLine) -> CommandContext:
    options = requests.create_global_options(line)
    return CommandContext(ENVIRONMENT, SkopeoFrontend(ENVIRONMENT), options)


def copy_request(*words: str) -> CopyRequest:
    line = parsed("copy", *words)
    return requests.create_copy_request(line, context_of(line))


def test_copy_selects_image_of_this_machine_by_default() -> None:
    assert copy_request("dir:a", "dir:b").transfer.selection == PlatformSelection(best=HERE)
    assert copy_request("-a", "dir:a", "dir:b").transfer.selection == EVERYTHING
    assert copy_request("--multi-arch", "all", "dir:a", "dir:b").transfer.selection == EVERYTHING
    index = copy_request("--multi-arch", "index-only", "dir:a", "dir:b").transfer.selection
    assert index == PlatformSelection(index_only=True)


@pytest.mark.parametrize(
    ("words", "manifest_format"),
    [
        (["dir:a", "oci:b"], "oci"),
        (["--format=v2s2", "dir:a", "oci-archive:b"], "v2s2"),
        (["--preserve-digests", "dir:a", "oci:b"], "oci"),
        (["--format=v2s2", "dir:a", "dir:b"], "v2s2"),
        (["--format=", "dir:a", "dir:b"], None),
    ],
)
def test_layouts_get_oci_manifests_unless_another_format_is_requested(
    words: list[str], manifest_format: str | None
) -> None:
    conversion = copy_request(*words).transfer.conversion
    assert conversion.manifest_format == manifest_format
    assert conversion.keep_fixed_images


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
    assert copy_request(*words).transfer.conversion.compress_uncompressed is compresses


def test_compression_flags_have_no_effect_where_skopeo_does_not_compress() -> None:
    flags = ("--dest-compress-format=zstd", "--dest-compress-level=3")
    to_archive = copy_request(*flags, "dir:a", "docker-archive:b").transfer.conversion
    assert (to_archive.compression, to_archive.level) == (None, None)
    to_directory = copy_request("--dest-compress", *flags, "dir:a", "dir:b").transfer.conversion
    assert (to_directory.compression, to_directory.level) == ("zstd", 3)
    to_registry = copy_request("--dest-decompress", "dir:a", "docker://b/c").transfer.conversion
    assert to_registry.compression is None


def test_flags_without_a_side_apply_to_both(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--authfile=a", "--tls-verify=false", "--dest-authfile=b", "dir:a", "dir:b")
    line = parsed("copy", *words)
    source, destination = (
        requests.create_access_settings(line, side).registry for side in ("src-", "dest-")
    )
    assert source == RegistryOverride(ANONYMOUS, authfile=Path("a"), tls_verify=False)
    assert destination == RegistryOverride(ANONYMOUS, authfile=Path("b"), tls_verify=False)
    argument_checks.log_warnings(line)
    assert "'--tls-verify' is deprecated, instead use: --src-tls-verify" in capsys.readouterr().err


def test_compression_of_other_destinations_than_directories_logs_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ("--dest-compress", "--dest-decompress")
    argument_checks.log_warnings(parsed("copy", *flags, "dir:a", "dir:b"))
    assert capsys.readouterr().err == ""
    argument_checks.log_warnings(parsed("copy", *flags, "dir:a", "oci:b"))
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
    registry = requests.create_access_settings(parsed("inspect", *words, "docker://a/b")).registry
    assert registry is not None
    assert registry.credentials == credentials


def test_copy_accepts_old_names_of_credentials() -> None:
    line = parsed("copy", "--screds=a:b", "--dcreds=c:d", "dir:a", "dir:b")
    for side, credentials in (("src-", Credentials("a", "b")), ("dest-", Credentials("c", "d"))):
        assert requests.create_access_settings(line, side) == AccessSettings(
            RegistryOverride(credentials)
        )


def test_missing_certificate_directory_is_ignored() -> None:
    assert (
        requests.create_access_settings(
            parsed("inspect", "--cert-dir=/none", "docker://a/b")
        ).registry
        is None
    )


def test_sync_ignores_mistakes_in_its_file_and_refuses_existing_directories() -> None:
    line = parsed("sync", "--src=yaml", "--dest=dir", "--append-suffix=-x", "file", "to")
    request = requests.create_sync_request(line, context_of(line))
    assert request.source.lenient
    assert request.refuse_existing
    assert (request.destination.location, request.destination.names.suffix) == ("to", "-x")


def test_global_options_are_accepted_before_and_after_the_command() -> None:
    words = ("--override-arch=arm", "--command-timeout=2s", "--tmpdir=d")
    options = GlobalOptions(override_arch="arm", command_timeout=2.0, tmpdir=Path("d"))
    assert requests.create_global_options(parsed(*words, "inspect", "x")) == options
    assert requests.create_global_options(parsed("inspect", "x", *words)) == options


def test_password_without_username_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        argument_checks.check(parsed("inspect", "--password=x", "docker://a/b"))
    assert refused.value.message == "username must be specified when password is specified"


def test_unknown_keys_in_registries_d_are_ignored_only_under_skopeos_name(tmp_path, run_airbundle):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/all.yaml").write_text("default-docker: {later: 1}\n")
    with FakeRegistry() as registry:
        registry.add_image("app", "1")
        copy = ("copy", "--src-tls-verify=false", f"docker://{registry.host}/app:1")
        front_end = ("--as", "skopeo", "--insecure-policy")
        assert run_airbundle(*front_end, "--registries.d", "d", *copy, "dir:a").status == 0
        assert run_airbundle("--registries.d", "d", *copy, "dir:b").status == 2
