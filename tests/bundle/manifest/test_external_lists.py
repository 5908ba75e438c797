"""Lists and skopeo-sync files, in place of a bundle manifest or included in one."""

from __future__ import annotations

import pytest

from bundler.bundle.manifest import load as manifest
from bundler.bundle.manifest.expand import expand
from bundler.bundle.manifest.load import is_list
from bundler.errors import InvalidBundleManifestError
from bundler.events import Notice
from bundler.gocompat.masterminds_semver import Constraint
from bundler.gocompat.regexp import GoExpression
from bundler.oci.tag_filter import TagSelection

SYNC = """\
registry.example.com:5000:
  images:
    busybox: []
    redis:
      - 1.0
      - "2.0"
      - sha256:0000000000000000000000000000000011111111111111111111111111111111
    alpine:
  images-by-tag-regex:
    nginx: 1\\.13
  images-by-semver:
    team/pause: ">= 1.2, < 4"
  credentials:
    username: john
    password: this is a secret
  tls-verify: no
  cert-dir: certs
docker.io:
  images: {nginx: [latest]}
"""


@pytest.fixture
def load(tmp_path):
    (tmp_path / "certs").mkdir()

    def load(text: str, name: str = "list.yaml") -> manifest.BundleManifest:
        (tmp_path / name).write_text(text)
        return manifest.load(tmp_path / name, environment={})

    return load


def mistakes(load, text: str) -> list[str]:
    with pytest.raises(InvalidBundleManifestError) as caught:
        load(text)
    return [line.rpartition("list.yaml")[2] for line in caught.value.findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx:1.27\n", True),
        ("# comment: here\n\n  quay.io:443/a/b:1 # c\n", True),
        ("oci:./layout:app\n", True),
        ("images: [a:1]\n", False),
        ("images:\n  - a:1\n", False),
        ("---\nimages: [a:1]\n", False),
        ("- a:1\n", False),
        ("{images: [a:1]}\n", False),
        ("registry.example.com:5000:\n  images: {}\n", False),
        ("'images': [a:1]\n", False),
        ("# nothing\n", False),
        ("", False),
    ],
)
def test_list_is_recognised_by_its_first_line(text, expected):
    assert is_list(text) is expected


def test_list_contains_one_reference_per_line(load):
    loaded = load("# images\n\nnginx:1.27\n  quay.io/a/b:1   # why\noci:layout:app\r\n", "l.txt")
    assert [(str(entry.reference), entry.origin) for entry in loaded.images] == [
        ("docker.io/library/nginx:1.27", "l.txt:3"),
        ("quay.io/a/b:1", "l.txt:4"),
        ("localhost/layout:app", "l.txt:5"),
    ]
    assert loaded.name == "l"


def test_load_reports_all_mistakes_in_a_list(load):
    assert mistakes(load, "nginx\na:1 b:1\n  A:1\nc:1\n") == [
        ":1:1: nginx: no tag or digest; add one, or write repo: and select:",
        ":2:1: expected one reference per line, got several words",
        ":3:3: 'A:1': the repository name must be in lower case",
    ]


def test_skopeo_sync_file_selects_by_tag_digest_range_and_expression(load):
    loaded = load(SYNC)
    digest = "sha256:0000000000000000000000000000000011111111111111111111111111111111"
    host = "registry.example.com:5000"
    assert [(str(entry.reference), entry.select) for entry in loaded.images] == [
        (f"{host}/busybox", TagSelection()),
        (f"{host}/redis:1.0", None),
        (f"{host}/redis:2.0", None),
        (f"{host}/redis@{digest}", None),
        (f"{host}/alpine", TagSelection()),
        (f"{host}/nginx", TagSelection(include=(GoExpression.parse("1\\.13"),))),
        (f"{host}/team/pause", TagSelection(constraint=Constraint.parse(">= 1.2, < 4"))),
        ("docker.io/library/nginx:latest", None),
    ]


def test_credentials_of_skopeo_sync_file_are_used_but_not_shown(load, tmp_path):
    loaded = load(SYNC)
    override = loaded.registries["registry.example.com:5000"]
    assert override.credentials is not None
    assert override.credentials.username == "john"
    assert override.credentials.password == "this is a secret"
    assert (override.tls_verify, override.cert_dir) == (False, tmp_path / "certs")
    assert "this is a secret" not in repr(loaded)


def test_expand_reports_selection_of_all_tags(load):
    events = []
    tags = {
        "docker://registry.example.com:5000/busybox": ["1", "2", "3"],
        "docker://registry.example.com:5000/alpine": ["edge"],
        "docker://registry.example.com:5000/nginx": ["1.13.1", "1.130", "2"],
        "docker://registry.example.com:5000/team/pause": ["1.1", "1.2", "3.9", "4.0"],
    }
    requests = expand(load(SYNC), lambda repository: tags[str(repository)], events.append)
    assert events == [
        Notice("list.yaml:3: registry.example.com:5000/busybox: all tags are selected: 3 tags"),
        Notice("list.yaml:8: registry.example.com:5000/alpine: all tags are selected: 1 tag"),
    ]
    assert [image.display_name.rpartition("/")[2] for image in requests][-5:] == [
        "nginx:1.13.1",
        "nginx:1.130",
        "pause:1.2",
        "pause:3.9",
        "nginx:latest",
    ]


def test_load_reports_all_mistakes_in_a_skopeo_sync_file(load):
    found = mistakes(
        load,
        "quay.io:\n"
        "  image-by-semver: {a: '1'}\n"
        "  images: {a: [-b, [c]], B: [], d: latest}\n"
        "  images-by-tag-regex: {a: '('}\n"
        "  images-by-semver: {a: new, b: }\n"
        "  credentials: {username: u}\n"
        "  tls-verify: perhaps\n"
        "  cert-dir: absent\n"
        "ghcr.io: all\n",
    )
    expected = [
        ":2:3: unknown key `image-by-semver`; did you mean `images-by-semver`?",
        ":3:16: 'quay.io/a:-b': '-b' is not a valid tag",
        ":3:20: expected text, got a list",
        ":3:26: 'quay.io/B': the repository name must be in lower case",
        ":3:36: expected a list of tags (an empty one means all), got 'latest'",
        ":4:28: '(' is not a valid regular expression",
        ":5:25: 'new' is not a valid version constraint",
        ":5:33: expected text, got nothing",
        ":6:16: `credentials`: expected username and password",
        ":7:15: `tls-verify`: expected true or false, got 'perhaps'",
        ":8:13: ",
        ":9:10: `ghcr.io`: expected a mapping, got 'all'",
    ]
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


def test_manifest_can_include_lists_and_skopeo_sync_files(load, tmp_path):
    (tmp_path / "sync.yml").write_text("quay.io: {images: {a/b: [v1]}}")
    (tmp_path / "list.txt").write_text("c:1")
    loaded = load(
        "defaults: {platforms: [linux/arm64], referrers: none}\n"
        "registries: {quay.io: {tls: {verify: false}}}\n"
        "include: [sync.yml, {path: list.txt}]\n"
    )
    assert [str(entry.options.platforms[0]) for entry in loaded.images] == ["linux/arm64"] * 2
    assert {entry.options.referrers for entry in loaded.images} == {"none"}
    assert loaded.registries["quay.io"].tls_verify is False


def test_obsolete_name_of_docker_hub_gets_options_of_its_entry(load):
    loaded = load("index.docker.io:\n  images: {library/nginx: ['1']}\n  tls-verify: false\n")
    assert [str(entry.reference) for entry in loaded.images] == ["docker.io/library/nginx:1"]
    assert loaded.registries["docker.io"].tls_verify is False
