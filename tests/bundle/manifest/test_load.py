"""Loading of a bundle manifest: the effect of each key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bundler.bundle.manifest import load as manifest
from bundler.bundle.manifest.entries import ImageOptions
from bundler.config.registry_access import ANONYMOUS, RegistryLimits, RegistryOverride
from bundler.errors import InvalidBundleManifestError, NotFoundError
from bundler.oci.platform import Platform
from bundler.oci.tag_filter import Latest

DIGEST = "sha256:" + "a" * 64
AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


@pytest.fixture
def load(tmp_path):
    def load(text: str, name: str = "plant.yaml", **environment: str) -> manifest.BundleManifest:
        path = tmp_path / name
        path.write_text(text)
        return manifest.load(path, environment=environment)

    return load


def test_manifest_without_name_is_named_after_its_file(load):
    loaded = load("images: [nginx:1.27]")
    (entry,) = loaded.images
    assert (loaded.name, loaded.expires, loaded.exclude, loaded.rename) == ("plant", None, (), ())
    assert str(entry.reference) == "docker.io/library/nginx:1.27"
    assert str(entry.source) == "docker://docker.io/library/nginx:1.27"
    assert entry.origin == "plant.yaml:1"
    assert entry.options == ImageOptions(platforms=(), referrers="all")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12h", timedelta(hours=12)), ("120d", timedelta(days=120)), ("4w", timedelta(weeks=4))],
)
def test_expiry_is_read_with_its_unit(load, text, expected):
    assert load(f"images: [a:1]\nexpires: {text}").expires == expected


def test_tag_with_digest_pins_the_tag(load):
    (entry,) = load(f"images: [{{ref: ghcr.io/org/app:v2.1@{DIGEST}, rename: infra/app}}]").images
    assert str(entry.reference) == f"ghcr.io/org/app:v2.1@{DIGEST}"
    assert str(entry.source) == "docker://ghcr.io/org/app:v2.1"
    assert entry.rename == "infra/app"


def test_image_without_tag_is_read_by_digest(load):
    (entry,) = load(f"images: [ghcr.io/org/app@{DIGEST}]").images
    assert str(entry.source) == f"docker://ghcr.io/org/app@{DIGEST}"


def test_selection_keeps_numbers_as_text(load):
    (entry,) = load(
        "images:\n"
        "  - repo: docker.io/library/redis\n"
        "    select:\n"
        "      tags: [v2.53.1, 1.10, 7]\n"
        "      semver: '>=7.0, <8'\n"
        "      latest: {count: 3, by: tag}\n"
        "      regex: {include: ['^7'], exclude: ['-rc']}\n"
    ).images
    select = entry.select
    assert select is not None
    assert select.tags == ("v2.53.1", "1.10", "7")
    assert select.semver == ">=7.0 <8"
    assert select.latest == Latest(3, "tag")
    assert [pattern.pattern for pattern in (*select.include, *select.exclude)] == ["^7", "-rc"]


def test_options_of_an_entry_override_defaults(load):
    loaded = load(
        "defaults: {platforms: [linux/amd64], referrers: none, index: sparse}\n"
        "images:\n"
        "  - a:1\n"
        "  - {ref: b:1, platforms: [linux/arm64, linux/amd64], index: strip, referrers: all}\n"
        "  - {ref: c:1, platforms: all}\n"
    )
    assert [entry.options for entry in loaded.images] == [
        ImageOptions((AMD64,), "sparse", referrers="none"),
        ImageOptions((ARM64, AMD64), "strip", referrers="all"),
        ImageOptions((), "sparse", referrers="none"),
    ]


def test_local_sources_are_relative_to_the_file_and_named_after_it(load, tmp_path):
    loaded = load(
        "images:\n"
        "  - oci:./layout:app\n"
        "  - oci:layout\n"
        "  - oci:layout:ghcr.io/org/app:v1\n"
        "  - oci:layout:org/app:v1\n"
        "  - dir:/srv/Some Image\n"
        "  - docker-archive:sub/saved.tar\n"
        "  - oci-archive:sub/made.tar:v1\n"
    )
    assert [(str(entry.source), str(entry.reference)) for entry in loaded.images] == [
        (f"oci:{tmp_path}/layout:app", "localhost/layout:app"),
        (f"oci:{tmp_path}/layout", "localhost/layout:latest"),
        (f"oci:{tmp_path}/layout:ghcr.io/org/app:v1", "ghcr.io/org/app:v1"),
        (f"oci:{tmp_path}/layout:org/app:v1", "localhost/org/app:v1"),
        ("dir:/srv/Some Image", "localhost/some-image:latest"),
        (f"docker-archive:{tmp_path}/sub/saved.tar", "localhost/saved:latest"),
        (f"oci-archive:{tmp_path}/sub/made.tar:v1", "localhost/made:v1"),
    ]


def test_settings_for_a_registry_are_read(load, tmp_path):
    for name, content in (("ca.pem", "x"), ("c.pem", "x"), ("k.pem", "x"), ("p.txt", "pa ss\n")):
        (tmp_path / name).write_text(content)
    loaded = load(
        "images: [a:1]\n"
        "registries:\n"
        "  registry.corp:5000:\n"
        "    tls: {caFile: ca.pem, clientCert: c.pem, clientKey: k.pem, certDir: .}\n"
        "    credentials: {usernameEnv: U, passwordFile: p.txt}\n"
        "    limits: {parallel: 4, requestsPerSecond: 0.5, patience: 5m, responseTimeout: 20m,"
        " stallTimeout: 500ms, minBytesPerSecond: 10, chunk: 90MiB}\n"
        "    tokenService: https://auth.example/token\n"
        "  127.0.0.1:5000: {tls: {plainHttp: true, verify: false}}\n"
        "  quay.io: {credentials: {anonymous: true}}\n"
        "  index.docker.io: {credentials: {authfile: p.txt}}\n",
        U="robot",
    )
    corp = loaded.registries["registry.corp:5000"]
    assert corp.credentials is not None
    assert (corp.credentials.username, corp.credentials.password) == ("robot", "pa ss")
    assert corp.ca_files == (tmp_path / "ca.pem",)
    assert (corp.client_certificate, corp.client_key) == (tmp_path / "c.pem", tmp_path / "k.pem")
    assert corp.cert_dir == tmp_path
    assert corp.limits == RegistryLimits(
        parallel=4,
        requests_per_second=0.5,
        patience=300,
        response_timeout=1200,
        stall_timeout=0.5,
        min_bytes_per_second=10,
    )
    assert corp.upload_chunk == 90 * 1024 * 1024
    assert corp.token_service == "https://auth.example/token"
    assert loaded.registries["127.0.0.1:5000"] == RegistryOverride(
        plain_http=True, tls_verify=False
    )
    assert loaded.registries["quay.io"].credentials == ANONYMOUS
    assert loaded.registries["docker.io"].authfile == tmp_path / "p.txt"


def test_path_may_begin_with_the_home_directory(load, tmp_path):
    (tmp_path / "auth.json").write_text("{}")
    text = "images: [a:1]\nregistries: {quay.io: {credentials: {authfile: ~/auth.json}}}"
    assert load(text, HOME=str(tmp_path)).registries["quay.io"].authfile == tmp_path / "auth.json"


def test_loaded_manifest_does_not_show_secrets(load):
    loaded = load(
        "images: [a:1]\nregistries: {quay.io: {credentials: {usernameEnv: U, passwordEnv: P}}}",
        U="robot",
        P="swordfish",
    )
    assert "swordfish" not in repr(loaded)


def test_included_files_follow_in_order_and_inherit_defaults(load, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text(
        "name: other\n"
        "expires: 1d\n"
        "defaults: {referrers: none}\n"
        "registries: {quay.io: {tls: {verify: false}}, ghcr.io: {tls: {verify: false}}}\n"
        "images: [b:1, oci:layout]\n"
        "exclude: {images: [two]}\n"
        "include: [sub/more.txt]\n"
    )
    (tmp_path / "sub" / "more.txt").write_text("# a list\nc:1\n")
    loaded = load(
        "defaults: {platforms: [linux/amd64]}\n"
        "registries: {quay.io: {tls: {verify: true}}}\n"
        "images: [a:1]\n"
        "exclude: {images: [one]}\n"
        "include: [{path: base.yaml}, sub/more.txt]\n"
    )
    assert (loaded.name, loaded.expires) == ("plant", None)
    assert [(entry.origin, entry.options) for entry in loaded.images] == [
        ("plant.yaml:3", ImageOptions((AMD64,))),
        ("base.yaml:5", ImageOptions((AMD64,), referrers="none")),
        ("base.yaml:5", ImageOptions((AMD64,), referrers="none")),
        ("sub/more.txt:2", ImageOptions((AMD64,), referrers="none")),
        ("sub/more.txt:2", ImageOptions((AMD64,))),
    ]
    assert [pattern.pattern for pattern in loaded.exclude] == ["one", "two"]
    assert loaded.registries["quay.io"].tls_verify is True
    assert loaded.registries["ghcr.io"].tls_verify is False
    assert [file.path for file in loaded.files][:2] == ["plant.yaml", "base.yaml"]


def test_manifest_may_contain_only_includes(load, tmp_path):
    (tmp_path / "list.txt").write_text("a:1")
    assert len(load("include: [list.txt]").images) == 1


def test_missing_manifest_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        manifest.load(tmp_path / "absent.yaml", environment={})


def test_file_name_that_is_not_a_bundle_name_is_refused(load):
    with pytest.raises(InvalidBundleManifestError) as raised:
        load("images: [a:1]", name="My Plant.yaml")
    (finding,) = raised.value.findings
    assert "'My Plant', is not a valid bundle name" in finding
    assert load("name: mine\nimages: [a:1]", name="My Plant.yaml").name == "mine"
