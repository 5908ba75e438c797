"""Errors in a bundle manifest are reported together, with their positions and expected values."""

from __future__ import annotations

import pytest

from bundler.bundle.manifest import load
from bundler.errors import InvalidBundleManifestError, LimitError

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def mistakes(text: str, **environment: str) -> list[str]:
        path = tmp_path / "m.yaml"
        path.write_text(text)
        with pytest.raises(InvalidBundleManifestError) as caught:
            load.load(path.relative_to(tmp_path), environment=environment)
        return list(caught.value.findings)

    return mistakes


def test_all_mistakes_are_reported_in_the_order_of_the_file(mistakes):
    assert mistakes(
        "nme: x\n"
        "expires: soon\n"
        "images:\n"
        "  - quay.io/prometheus/prometheus\n"
        "  - {ref: Nginx:1.27, platfroms: [linux/amd64]}\n"
        "  - {ref: a:1, platforms: linux/amd64}\n"
        "exclude: {images: ['(']}\n"
    ) == [
        "m.yaml:1:1: unknown key `nme`; did you mean `name`?",
        "m.yaml:2:10: `expires`: expected a time such as 12h, 120d or 4w, got 'soon'",
        (
            "m.yaml:4:5: quay.io/prometheus/prometheus: no tag or digest; add one,"
            " or write repo: and select:"
        ),
        "m.yaml:5:11: 'Nginx:1.27': the repository name must be in lower case",
        "m.yaml:5:23: unknown key `platfroms`; did you mean `platforms`?",
        (
            "m.yaml:6:27: `platforms`: expected `all`, or a list of platforms such as linux/amd64,"
            " got 'linux/amd64'"
        ),
        "m.yaml:7:20: '(' is not a valid regular expression: missing ): (",
    ]


def test_private_key_loaded_by_mistake_is_not_shown(mistakes):
    (found,) = mistakes("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\n")
    assert found == "m.yaml:1:1: expected a bundle manifest, got text"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("images: []", "m.yaml:1:9: `images`: the list is empty"),
        ("images:", "m.yaml:1:8: `images`: expected a list, got nothing"),
        ("images: nginx:1.27", "m.yaml:1:9: `images`: expected a list, got 'nginx:1.27'"),
        ("images: [a:1]\ninclude: x.txt", "m.yaml:2:10: `include`: expected a list, got 'x.txt'"),
        ("- nginx:1.27", "m.yaml:1:1: expected a bundle manifest, got a list"),
        ("name: x", "m.yaml:1:1: no images"),
        ("images: [a:1]\nname:", "m.yaml:2:6: `name`: expected up to 64"),
        ('images: [a:1]\nname: "x\\n"', "m.yaml:2:7: `name`: expected up to 64"),
        ('images: [a:1]\nexpires: "1d\\n"', "m.yaml:2:10: `expires`: expected a time"),
        ("images: [[a:1]]", "`images`: expected a reference, or a mapping with `ref` or `repo`"),
        ("images: [null]", "`images`: expected a reference, or a mapping with `ref` or `repo`"),
        ("images: [{platforms: all}]", "`images`: exactly one of `ref` and `repo` is required"),
        ("images: [{ref: a:1, repo: b}]", "`images`: exactly one of `ref` and `repo` is required"),
        ("images: [{repo: quay.io/a/b}]", "m.yaml:1:11: `repo` requires `select`"),
        ("images: [{repo: quay.io/a/b, select: {}}]", "at least one of `tags`, `semver`"),
        ("images: [{repo: 'a:1', select: {tags: [x]}}]", "expected a repository without a tag"),
        ("images: [{repo: 'oci:a', select: {tags: [x]}}]", "expected a repository without a tag"),
        ("images: [{repo: a, select: {tags: []}}]", "`tags`: the list is empty"),
        ("images: [{repo: a, select: {tags: [-x]}}]", "'-x' is not a valid tag"),
        ("images: [{repo: a, select: {semver: new}}]", "'new' is not a valid version range"),
        ("images: [{repo: a, select: {semver: '!=1'}}]", "exclude versions with regex.exclude"),
        ("images: [{repo: a, select: {latest: {}}}]", "`latest`: `count` is missing"),
        ("images: [{repo: a, select: {latest: {count: 0}}}]", "`count`: expected at least 1, got"),
        ("images: [{repo: a, select: {latest: {count: 1.5}}}]", "expected a whole number, got"),
        ("images: [{repo: a, select: {latest: {count: '3'}}}]", "expected a whole number, got"),
        (
            "images: [{repo: a, select: {latest: {count: 1, by: semvr}}}]",
            "expected `semver` or `tag`, got 'semvr'; did you mean `semver`?",
        ),
        ("images: [{ref: 'a:1', platforms: [amd64]}]", "'amd64' is not a valid platform"),
        ("images: [{ref: 'a:1', platforms: []}]", "`platforms`: the list is empty"),
        (
            "images: [{ref: 'a:1', referrers: true}]",
            "expected `all` or `signatures` or `none`, got 'true'",
        ),
        (
            "images: [{ref: 'a:1', rename: 'host:5000/x'}]",
            "is not a valid target name (expected PATH[:TAG], for example infra/app:v2.1)",
        ),
        (f"images: ['a@{DIGEST}x']", "is not a valid sha256 or sha512 digest"),
        (
            f"images: [{{ref: 'a@{DIGEST}', platforms: [linux/amd64, linux/arm64]}}]",
            "selecting platforms changes the specified digest; write platforms: all",
        ),
        ("images: ['oci://ghcr.io/org/chart:1']", "write its plain name, host/path:tag"),
        ("images: ['https://quay.io/a/b:1']", "expected the plain name quay.io/a/b:1"),
        ("images: ['docker-daemon:a:1']", "docker-daemon: unsupported"),
        ("images: ['containers-storage:a:1']", "containers-storage: unsupported"),
        ("images: ['oci:']", "expected a path after oci:"),
        (
            f"images: [a:1]\nexclude: {{images: ['{'x' * 513}']}}",
            "too long (expected at most 512 characters)",
        ),
        ("images: [a:1]\nexclude: {images: ['[[a]']}\nx: y", "unknown key `x`"),
        ("images: [a:1]\nrename: [{match: x}]", "m.yaml:2:10: `rename`: `to` is missing"),
        (
            "images: [a:1]\nrename: [{match: '(?P<path>.+)', to: '{host}/{path}'}]",
            "m.yaml:2:38: `match` has no group for {host}; its named groups are {path}",
        ),
        ("images: [a:1]\nrename: [{match: 'x', to: '{'}]", "braces are allowed only around"),
        ("images: [a:1]\nrename: [{match: '(?P<p>x)', to: '{p.q}'}]", "braces are allowed only"),
        (
            "images: [a:1]\nregistries: {'bad host': {}}",
            "is not a valid registry (expected HOST[:PORT])",
        ),
        (
            "images: [a:1]\nregistries: {h: {tls: {plainHttp: yes}}}",
            "`plainHttp`: expected true or false, got 'yes'",
        ),
        (
            "images: [a:1]\nregistries: {h: {tls: {ca-file: x}}}",
            "unknown key `ca-file`; did you mean `caFile`?",
        ),
        ("images: [a:1]\nregistries: {h: {tls: {caFile: nope}}}", "2:32: nope: no such file"),
        (
            "images: [a:1]\nregistries: {h: {tls: {clientCert: m.yaml}}}",
            "`clientCert` requires `clientKey`",
        ),
        ("images: [a:1]\nregistries: {h: {limits: {parallel: 65}}}", "expected at most 64"),
        ("images: [a:1]\nregistries: {h: {limits: {chunk: 90 parsecs}}}", "is not a size"),
        (
            "images: [a:1]\nregistries: {h: {tokenService: auth.example}}",
            "expected a URL such as https://auth.example.com/token",
        ),
        ("images: [a:1]\nregistries: {h: {limits: {chunk: 1KiB}}}", "expected at least 64KiB"),
        (
            "images: [a:1]\nregistries: {h: {limits: {requestsPerSecond: fast}}}",
            "`requestsPerSecond`: expected a number, got 'fast'",
        ),
        (
            "images: [a:1]\nregistries: {h: {limits: {requestsPerSecond: 0}}}",
            "expected more than 0, got '0'",
        ),
    ],
)
def test_mistake_is_reported_with_the_expected_value(mistakes, text, expected):
    found = mistakes(text)
    assert any(expected in line for line in found), found


@pytest.mark.parametrize("key", ["password", "token", "identityToken", "Password"])
def test_secret_in_the_file_is_refused_but_not_shown(mistakes, key):
    text = f"images: [a:1]\nregistries: {{h: {{credentials: {{usernameEnv: U, {key}: hunter2}}}}}}"
    found = mistakes(text, U="u")
    assert any("passwordFile or passwordEnv" in line for line in found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "images: [a:1]\nregistries: {h: {credentials: hunter2}}",
        "images: [a:1]\nregistries: {h: {credentials: {passwordFile: [hunter2]}}}",
        "images: ['user:hunter2@quay.io/a/b:1']",
        "images: ['docker://user:hunter2@quay.io/a/b:1']",
        "images: ['https://user:hunter2@quay.io/a/b:1']",
    ],
)
def test_misplaced_secret_is_not_shown(mistakes, text):
    assert "hunter2" not in str(mistakes(text))


def test_missing_secret_is_reported(mistakes, tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "lines").write_text("a\nb\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    assert mistakes(
        "images: [a:1]\n"
        "registries:\n"
        "  a: {credentials: {usernameEnv: U, passwordEnv: P}}\n"
        "  b: {credentials: {usernameEnv: V, passwordFile: absent}}\n"
        "  c: {credentials: {usernameFile: empty, passwordFile: lines}}\n"
        "  d: {credentials: {usernameFile: binary, passwordFile: .}}\n",
        V="v",
    ) == [
        "m.yaml:3:34: environment variable U is not set",
        "m.yaml:3:50: environment variable P is not set",
        "m.yaml:4:51: absent: no such file",
        "m.yaml:5:35: empty: expected one line of text",
        "m.yaml:5:56: lines: expected one line of text",
        "m.yaml:6:35: binary: not UTF-8 text",
        "m.yaml:6:57: .: cannot be read: Is a directory",
    ]


@pytest.mark.parametrize(
    "credentials",
    [
        "{usernameEnv: U}",
        "{passwordEnv: U}",
        "{usernameEnv: U, usernameFile: m.yaml, passwordEnv: U}",
        "{authfile: m.yaml, anonymous: true}",
        "{usernameEnv: U, passwordEnv: U, authfile: m.yaml}",
    ],
)
def test_credentials_with_several_methods_are_refused(mistakes, credentials):
    text = f"images: [a:1]\nregistries: {{h: {{credentials: {credentials}}}}}"
    assert any("expected one of usernameEnv" in line for line in mistakes(text, U="u"))


def test_mistakes_in_an_included_file_have_its_name(mistakes, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.yaml").write_text("imagse: [a:1]\n")
    (tmp_path / "sub" / "list.txt").write_text("a:1\n\n  b\nc d\n")
    assert mistakes("include: [sub/base.yaml, sub/list.txt]\nnmae: x\n") == [
        "m.yaml:2:1: unknown key `nmae`; did you mean `name`?",
        "sub/base.yaml:1:1: unknown key `imagse`; did you mean `images`?",
        "sub/list.txt:3:3: b: no tag or digest; add one, or write repo: and select:",
        "sub/list.txt:4:1: expected one reference per line, got several words",
    ]


def test_unreadable_include_is_reported_at_the_include(mistakes, tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "deep.yaml").write_text("[" * 100)
    assert mistakes("images: [a:1]\ninclude: [absent.yaml, ., binary.yaml, deep.yaml]\n") == [
        "m.yaml:2:11: absent.yaml: no such file",
        "m.yaml:2:24: included here: .: cannot be read: Is a directory",
        "m.yaml:2:27: included here: binary.yaml:1:1: not UTF-8 text",
        "m.yaml:2:40: deep.yaml:1:33: nested deeper than 32 levels",
    ]


def test_include_cycle_is_refused(mistakes, tmp_path):
    (tmp_path / "a.yaml").write_text("include: [b.yaml]")
    (tmp_path / "b.yaml").write_text("include: [./a.yaml]")
    found = mistakes("images: [a:1]\ninclude: [a.yaml]")
    assert found == ["b.yaml:1:11: a.yaml includes itself"]


def test_include_of_a_link_to_itself_is_refused(mistakes, tmp_path):
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    (found,) = mistakes("images: [a:1]\ninclude: [a.yaml]")
    assert found.startswith("m.yaml:2:11: ")
    assert "symbolic links" in found


def test_depth_of_includes_is_limited(mistakes, tmp_path):
    for level in range(20):
        (tmp_path / f"{level}.yaml").write_text(f"include: [{level + 1}.yaml]\nimages: [a:1]")
    (found,) = mistakes("include: [0.yaml]")
    assert "too many includes (expected at most 8 levels and 256 files)" in found


def test_number_of_included_files_is_limited(mistakes, tmp_path):
    for level in range(7):
        inner = ", ".join([f"{level + 1}.yaml"] * 9)
        (tmp_path / f"{level}.yaml").write_text(f"include: [{inner}]")
    (tmp_path / "7.yaml").write_text("images: [a:1]")
    found = mistakes("include: [0.yaml]")
    assert all("too many includes" in line for line in found)


def test_alias_bomb_exceeds_the_limit(tmp_path):
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    path.write_text("\n".join(lines))
    with pytest.raises(LimitError):
        load.load(path, environment={})
