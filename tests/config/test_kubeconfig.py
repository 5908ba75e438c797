"""The API server and the credentials of kubeconfig files."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from bundler.config import kubeconfig, paths
from bundler.config.registry_access import Credentials
from bundler.errors import ConfigError

CONTEXT = """\
current-context: mine
contexts: [{name: mine, context: {cluster: here, user: me, namespace: tests}}]
"""


def write(path, cluster="{server: 'https://api.example:6443'}", user="{token: secret}"):
    clusters = f"clusters: [{{name: here, cluster: {cluster}}}]\n"
    path.write_text(f"{CONTEXT}{clusters}users: [{{name: me, user: {user}}}]\n")
    return path


def encode(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def config(tmp_path):
    return tmp_path / "config"


def test_files_are_those_of_the_variable_or_of_the_home_directory():
    home = Path("/home/me")
    assert paths.locate({}, home, 1).kubeconfig == (home / ".kube/config",)
    found = paths.locate({"KUBECONFIG": "/a::b/c"}, home, 1).kubeconfig
    assert found == (Path("/a"), Path("b/c"))


def test_current_context_determines_server_and_user(config):
    found = kubeconfig.load([write(config)])
    assert (found.url, found.host) == ("https://api.example:6443", "api.example:6443")
    assert found.credentials == Credentials(registry_token="secret")
    assert found.tls.verify
    assert not found.tls.plain_http


def test_first_file_that_defines_a_name_applies(config, tmp_path):
    first = tmp_path / "first"
    first.write_text("users: [{name: me, user: {username: you, password: other}}]")
    found = kubeconfig.load([tmp_path / "absent", first, write(config)])
    assert found.credentials == Credentials(username="you", password="other")
    assert found.url == "https://api.example:6443"


@pytest.mark.parametrize(
    ("server", "more", "url"),
    [
        ("https://a:1/prefix", "", "https://a:1"),
        ("http://a", "", "http://a"),
        ("a:8080", "", "http://a:8080"),
        ("a:8443", ", insecure-skip-tls-verify: true", "https://a:8443"),
    ],
)
def test_server_is_a_url_or_a_host(config, server, more, url):
    assert kubeconfig.load([write(config, f"{{server: '{server}'{more}}}")]).url == url


def test_credentials_are_omitted_without_tls(config):
    found = kubeconfig.load([write(config, "{server: 'http://a'}")])
    assert found.credentials.anonymous
    assert found.tls.plain_http


def test_certificates_are_data_or_files_beside_the_kubeconfig(config, tmp_path):
    (tmp_path / "ca.pem").write_text("authority")
    cluster = "{server: 'https://a', certificate-authority: ca.pem}"
    user = f"{{client-certificate-data: {encode('mine')}, client-key-data: {encode('key')}}}"
    embedded = kubeconfig.load([write(config, cluster, user)]).tls.embedded
    assert (embedded.authorities, embedded.client) == (b"authority", b"mine\nkey")
    assert "key" not in repr(embedded)


@pytest.mark.parametrize(
    ("cluster", "user", "problem"),
    [
        ("{}", "{}", "server is missing"),
        ("{server: 'ftp://a'}", "{}", "server is not valid"),
        ("{server: 'https://u:secret@a'}", "{}", "server is not valid"),
        ("{server: 'https://'}", "{}", "server is not valid"),
        ("{server: a, insecure-skip-tls-verify: 1}", "{}", "is not one of true, false"),
        (
            "{server: a, insecure-skip-tls-verify: true, certificate-authority-data: eA==}",
            "{}",
            "are both set",
        ),
        (
            "{server: a, certificate-authority: b, certificate-authority-data: eA==}",
            "{}",
            "are both set",
        ),
        ("{server: a, certificate-authority-data: '%'}", "{}", "not base64"),
        ("{server: a, certificate-authority: absent}", "{}", "no such file"),
        ("{server: a}", "{token: secret, username: b}", "are both set"),
        ("{server: a}", '{token: "secret\\r\\nX: y"}', "not allowed"),
        ("{server: a}", "{client-certificate-data: eA==}", "but not client-key"),
        ("{server: a}", "{exec: {command: secret}}", "exec is not supported"),
        ("{server: a}", "{tokenFile: secret}", "tokenFile is not supported"),
        ("{server: a}", "{token: [secret]}", "token is not a string"),
        ("[secret]", "{}", "is not a mapping"),
    ],
)
def test_invalid_entry_is_refused_without_its_secret(config, cluster, user, problem):
    with pytest.raises(ConfigError, match=problem) as raised:
        kubeconfig.load([write(config, cluster, user)])
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "current-context: ''",
        "current-context: other",
        "current-context: a\ncontexts: [{name: a, context: {cluster: absent}}]",
        "current-context: a\ncontexts: [{name: a, context: {}}]",
        "users: [{name: me, user: {token: secret",
        "users: &a [*a, *a]",
        "\x00secret",
    ],
)
def test_unusable_file_is_refused_without_its_secret(config, text):
    config.write_text(text)
    with pytest.raises(ConfigError) as raised:
        kubeconfig.load([config])
    assert "secret" not in raised.value.message


def test_absent_file_is_reported_with_the_next_step(tmp_path):
    with pytest.raises(ConfigError, match="no current context") as raised:
        kubeconfig.load([tmp_path / "absent"])
    assert "KUBECONFIG" in raised.value.hint
